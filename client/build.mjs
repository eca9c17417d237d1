// `npm run build -w client`: compiles the SDK to client/dist, a package of its own that needs nothing of this repository.
//
//   npm pack ./client/dist        makes the tarball
//
// The workspace itself imports the sources, so this folder's own package.json cannot be the published one.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const CLIENT = fileURLToPath(new URL(".", import.meta.url));
const DIST = join(CLIENT, "dist");
const manifest = JSON.parse(readFileSync(join(CLIENT, "package.json"), "utf8"));
/** By the name of what is built: the subpath, and its source without extension. */
const ENTRIES = Object.entries(manifest.exports).map(([subpath, source]) => ({
  subpath,
  name: subpath === "." ? "index" : subpath.slice(2),
  source: source.replace(/^\.\//, ""),
}));
/** What the user's own installation provides; two copies of Yjs or React do not work together. */
const EXTERNAL = Object.keys(manifest.peerDependencies).flatMap((name) => [name, `${name}/*`]);

/** What a consumer pays for, minified and without the packages it brings itself. */
const CONSUMERS = {
  "streams, rooms by REST, models": 'import { createClient } from "./index.js"; globalThis.c = createClient({ url: "http://x" });',
  "rooms, live":
    'import { createClient } from "./index.js"; import { connectRoom } from "./rooms.js"; globalThis.c = connectRoom(createClient({ url: "http://x" }), "r");',
  groups:
    'import { createClient } from "./index.js"; import { openGroup } from "./groups.js"; globalThis.c = openGroup(createClient({ url: "http://x" }), "g");',
  agents:
    'import { createClient } from "./index.js"; import { openGroup } from "./groups.js"; import * as agents from "./agents.js"; globalThis.c = [openGroup(createClient({ url: "http://x" }), "g"), agents];',
  certificates:
    'import { decodeCertificate, MemberSet, verifyCertificate, verifySignature } from "./certificate.js"; globalThis.c = [decodeCertificate, MemberSet, verifyCertificate, verifySignature];',
  hooks: 'import { createClient } from "./index.js"; import * as hooks from "./react.js"; globalThis.c = [createClient, hooks];',
};

if (process.argv.includes("--refuse-pack")) {
  console.error("Pack what is built, not this folder: npm run build -w client && npm pack ./client/dist");
  process.exit(1);
}

/**
 * Compiles into `dist` and returns the size of each consumer's bundle, gzipped, in bytes.
 * @param {string} [dist]
 * @returns {Promise<Record<string, number>>}
 */
export async function buildClient(dist = DIST) {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  await build({
    absWorkingDir: CLIENT,
    entryPoints: ENTRIES.map(({ name, source }) => ({ in: source, out: name })),
    outdir: dist,
    bundle: true,
    // Shared pieces once, so that an error or a client is the same whichever entry it came through.
    splitting: true,
    chunkNames: "shared-[hash]",
    format: "esm",
    platform: "neutral",
    target: "es2022",
    external: EXTERNAL,
    logLevel: "warning",
  });
  declare(dist);
  writeFileSync(join(dist, "package.json"), `${JSON.stringify(published(), null, 2)}\n`);
  cpSync(join(CLIENT, "README.md"), join(dist, "README.md"));
  cpSync(join(CLIENT, "../LICENSE"), join(dist, "LICENSE"));
  return sizes(dist);
}

/** Types as a tree under `types/`, with those of core that they mention and nothing else. */
function declare(dist) {
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  const emit = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly"];
  const where = ["--rootDir", join(CLIENT, ".."), "--outDir", join(dist, "types")];
  const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", CLIENT, ...emit, ...where], { encoding: "utf8" });
  if (status !== 0) throw new Error(`The types could not be compiled:\n${stdout}`);
  const kept = new Set();
  const keep = (path) => {
    if (kept.has(path)) return;
    kept.add(path);
    const text = readFileSync(path, "utf8");
    // Sources import by `.ts`; consumers need not allow that.
    writeFileSync(path, text.replace(OUR_IMPORT, '$1"$2.js"'));
    for (const [, , file] of text.matchAll(OUR_IMPORT)) keep(join(dirname(path), `${file}.d.ts`));
  };
  for (const { source } of ENTRIES) keep(join(dist, typesOf(source)));
  for (const file of readdirSync(join(dist, "types"), { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name);
    if (file.isFile() && !kept.has(path)) rmSync(path);
  }
}

const OUR_IMPORT = /(from |import\()"(\.[^"]+)\.ts"/g;

function typesOf(source) {
  return `./types/client/${source.replace(/\.ts$/, ".d.ts")}`;
}

function published() {
  const { name, version, description, type, license, sideEffects, peerDependencies, peerDependenciesMeta } = manifest;
  const exports = Object.fromEntries(
    ENTRIES.map(({ subpath, name: built, source }) => [subpath, { types: typesOf(source), default: `./${built}.js` }]),
  );
  return { name, version, description, type, license, sideEffects, exports, peerDependencies, peerDependenciesMeta };
}

async function sizes(dist) {
  const measured = {};
  for (const [name, contents] of Object.entries(CONSUMERS)) {
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: dist },
      bundle: true,
      minify: true,
      format: "esm",
      platform: "browser",
      external: EXTERNAL,
      write: false,
      logLevel: "error",
    });
    measured[name] = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  }
  return measured;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const measured = await buildClient();
  console.log(`${manifest.name} ${manifest.version} in client/dist; minified and gzipped, without Yjs and React:`);
  for (const [name, bytes] of Object.entries(measured)) console.log(`  ${(bytes / 1024).toFixed(1).padStart(5)} KB  ${name}`);
}
