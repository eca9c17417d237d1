import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { DIST, fileHash, ROOT, sha256 } from "./paths.ts";
import { Refusal } from "./refusal.ts";

/** The scripts that Skerry deploys, in the order in which they must exist: `skerry` binds `skerry-models` as a service. */
export const WORKERS = {
  models: { script: "skerry-models", config: "workers/models/wrangler.toml" },
  main: { script: "skerry", config: "wrangler.toml" },
} as const;
export type WorkerKey = keyof typeof WORKERS;

/** One built script: exactly the modules that `wrangler deploy` would upload, and the bindings it declares. */
export type BuiltWorker = { key: WorkerKey; script: string; config: string; dir: string; modules: BuiltModule[]; options: DeclaredOptions };
/** The runtime's options as wrangler derives them from a configuration file: plain JSON, without any secret's value. */
export type DeclaredOptions = { bindings?: Record<string, unknown>; [option: string]: unknown };
/** A module's file; `contents` where it exists only in memory. */
export type BuiltModule = { type: "ESModule" | "CompiledWasm" | "Data" | "Text"; path: string; contents?: string };

/** What a build was made of: paths from the root, with their hashes. */
export const inputsOfBuild = (key: WorkerKey): Record<string, string> => readStamp(join(DIST, `workers/${key}.json`))?.inputs ?? {};

/** What the last build read and where its output lies; a build whose inputs are unchanged is used again. */
type Stamp = { root: string; dir: string; inputs: Record<string, string>; options: DeclaredOptions };

const MODULE_TYPES: Record<string, BuiltModule["type"]> = {
  ".js": "ESModule",
  ".mjs": "ESModule",
  ".wasm": "CompiledWasm",
  ".bin": "Data",
  ".txt": "Text",
  ".html": "Text",
  ".sql": "Text",
};

/**
 * Builds a Worker with wrangler itself, so that what runs locally is byte for byte what is deployed. The output lies in
 * a directory named by its content and appears by one rename: parallel builds and running servers never see half of one.
 *
 * @throws Refusal with wrangler's own message when the source does not build.
 */
export async function buildWorker(key: WorkerKey): Promise<BuiltWorker> {
  const stampFile = join(DIST, `workers/${key}.json`);
  const stamp = readStamp(stampFile);
  return describe(key, stamp !== null && isCurrent(stamp) ? stamp : await run(key, stampFile));
}

/** Builds every Worker that Skerry deploys. */
export async function buildWorkers(): Promise<Record<WorkerKey, BuiltWorker>> {
  const [models, main] = await Promise.all([buildWorker("models"), buildWorker("main")]);
  return { models, main };
}

/** What a script weighs: all its modules together, as they are and as they travel in an upload. */
export function bundleSize({ modules }: BuiltWorker): { bytes: number; gzip: number } {
  const contents = modules.map(({ path }) => readFileSync(path));
  return {
    bytes: contents.reduce((sum, { length }) => sum + length, 0),
    gzip: contents.reduce((sum, module) => sum + gzipSync(module).length, 0),
  };
}

function readStamp(file: string): Stamp | null {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Stamp;
  } catch {
    return null;
  }
}

/** Whether a build still is what its sources would give. Options name absolute paths, so a checkout that moved builds anew. */
const isCurrent = ({ root, dir, inputs }: Stamp): boolean =>
  root === ROOT &&
  existsSync(join(ROOT, dir, "index.js")) &&
  Object.entries(inputs).every(([path, hash]) => fileHash(join(ROOT, path)) === hash);

async function run(key: WorkerKey, stampFile: string): Promise<Stamp> {
  const work = join(DIST, `workers/.${key}-${process.pid}-${Date.now()}`);
  const metafile = `${work}.meta.json`;
  const started = Date.now();
  mkdirSync(work, { recursive: true });
  // wrangler refuses a configuration whose asset directory is absent; the console's own build fills it.
  mkdirSync(join(DIST, "console"), { recursive: true });
  try {
    const wrangler = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
    const args = [wrangler, "deploy", "--dry-run", "--outdir", work, "--metafile", metafile, "-c", join(ROOT, WORKERS[key].config)];
    const env = { ...process.env, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1", CI: "1" };
    await promisify(execFile)(process.execPath, args, { cwd: ROOT, env, maxBuffer: 1 << 26 });
    const inputs = inputsOf(key, metafile, started);
    const hash = sha256(
      files(work)
        .map((name) => `${name} ${fileHash(join(work, name))}`)
        .join("\n"),
    ).slice(0, 16);
    const dir = relative(ROOT, join(DIST, "workers", `${key}-${hash}`));
    if (!existsSync(join(ROOT, dir))) renameSync(work, join(ROOT, dir));
    const stamp: Stamp = { root: ROOT, dir, inputs, options: await declaredOptions(key) };
    writeFileSync(`${work}.json`, JSON.stringify(stamp));
    renameSync(`${work}.json`, stampFile);
    prune(key, dir);
    return stamp;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Refusal(`The Worker ${WORKERS[key].script} does not build.\n${stdout}${stderr}`.trim());
  } finally {
    rmSync(work, { recursive: true, force: true });
    rmSync(metafile, { force: true });
  }
}

/** Every binding comes from the wrangler file, through wrangler's own conversion: it stays the only place that declares them. */
async function declaredOptions(key: WorkerKey): Promise<DeclaredOptions> {
  // Loaded here only: it takes half a second, which no start needs but the one that builds.
  const { unstable_getMiniflareWorkerOptions, unstable_readConfig } = await import("wrangler");
  const config = unstable_readConfig({ config: join(ROOT, WORKERS[key].config) }) as { secrets?: { required?: string[] } };
  const secrets = config.secrets?.required ?? [];
  // wrangler warns of required secrets that it does not find in the environment, and copies those that it finds.
  const before = { ...process.env };
  process.env.WRANGLER_LOG ??= "warn";
  for (const name of secrets) process.env[name] = "-";
  try {
    const { modulesRules: _, ...options } = unstable_getMiniflareWorkerOptions(join(ROOT, WORKERS[key].config)).workerOptions;
    const declared = JSON.parse(JSON.stringify(options)) as DeclaredOptions;
    for (const name of secrets) delete declared.bindings?.[name];
    return declared;
  } finally {
    process.env = before;
  }
}

/** Every file that the bundle was made of, by wrangler's own account, with its hash; and the files that steer the build. */
function inputsOf(key: WorkerKey, metafile: string, started: number): Record<string, string> {
  const { inputs } = JSON.parse(readFileSync(metafile, "utf8")) as { inputs: Record<string, unknown> };
  // Paths are relative to the configuration's folder; what has a namespace was made up by wrangler, not read.
  const base = join(ROOT, dirname(WORKERS[key].config));
  const sources = Object.keys(inputs)
    .filter((path) => !/^[a-z-]+:/.test(path))
    .map((path) => resolve(base, path));
  const steering = [WORKERS[key].config, "package-lock.json", "tsconfig.base.json"].map((path) => join(ROOT, path));
  const paths = new Set([...sources, ...sources.flatMap(modulesOf), ...steering]);
  return Object.fromEntries(
    [...paths].sort().map((path) => [relative(ROOT, path), changedSince(path, started) ? "changed" : fileHash(path)]),
  );
}

/** Whether a file was written after the build began: what the build read of it is unknown, so the build is used but once. */
const changedSince = (path: string, started: number): boolean => (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) >= started;

/** The modules other than code that a source imports: wrangler uploads them beside the bundle and leaves them out of its account. */
function modulesOf(source: string): string[] {
  if (!/\.[cm]?[jt]sx?$/.test(source) || source.includes("/node_modules/") || !existsSync(source)) return [];
  const imports = readFileSync(source, "utf8").matchAll(/from\s+"(\.{1,2}\/[^"]+\.(?:wasm|bin|txt|html|sql))"/g);
  return [...imports].map(([, path]) => resolve(dirname(source), path!));
}

/** Removes this Worker's builds of more than an hour ago; younger ones may belong to a server that is just starting. */
function prune(key: WorkerKey, keep: string): void {
  for (const name of readdirSync(join(DIST, "workers"))) {
    const path = join(DIST, "workers", name);
    if (!new RegExp(`^\\.?${key}-`).test(name) || relative(ROOT, path) === keep) continue;
    if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 3_600_000)
      rmSync(path, { recursive: true, force: true });
  }
}

const files = (dir: string): string[] =>
  readdirSync(dir)
    .filter((name) => extension(name) in MODULE_TYPES)
    .sort();
const extension = (name: string): string => name.slice(name.lastIndexOf("."));

function describe(key: WorkerKey, { dir, options }: Stamp): BuiltWorker {
  const absolute = join(ROOT, dir);
  const names = files(absolute).sort((a, b) => Number(b === "index.js") - Number(a === "index.js"));
  return {
    key,
    ...WORKERS[key],
    dir: absolute,
    options,
    modules: names.map((name) => ({ type: MODULE_TYPES[extension(name)]!, path: join(absolute, name) })),
  };
}
