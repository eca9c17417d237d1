import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { buildGuide, GUIDE } from "../guide/build.ts";
import { buildDemoAssets } from "./demo-asset.ts";
import { DIST, fileHash, ROOT, sha256 } from "./paths.ts";
import { Refusal } from "./refusal.ts";
import { listFiles } from "./tree.ts";

/** What the reference page at /docs loads; served by ourselves, so that it works without the internet. */
const REFERENCE = ["swagger-ui.css", "swagger-ui-bundle.js"];

/** What the console is made of: its own sources, what it imports of ours, and what makes the data of its demo. */
const SOURCES = [
  ...["console", "client", "core/wire", "core/causality", "core/streams/partition.ts", "package-lock.json"],
  ...["scripts/demo/data.ts", "scripts/lib/demo-asset.ts", "scripts/lib/us-map.ts"],
];

/** Shown while there is no console: a deployment without one still says what it is. */
const NO_CONSOLE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Skerry</title><h1>Skerry</h1><p>The platform runs. <a href="/docs">Reference</a></p></html>\n`;

/** Builds the static assets: the console by Vite, the reference page's files, and the guide; nothing where nothing has changed. */
export async function buildConsole(): Promise<void> {
  const assets = join(DIST, "console");
  await buildPages(assets);
  await buildGuide(assets);
}

async function buildPages(assets: string): Promise<void> {
  const stampFile = join(DIST, "console.stamp");
  const stamp = stampOf();
  if (existsSync(join(assets, "index.html")) && fileHash(stampFile) === sha256(stamp)) return;
  const work = join(DIST, `.console-${process.pid}`);
  try {
    await buildInto(work);
    publish(work, assets);
    writeFileSync(stampFile, stamp);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function buildInto(work: string): Promise<void> {
  const root = join(ROOT, "console");
  if (existsSync(join(root, "index.html"))) {
    const { build } = await import("vite");
    await build({ root, logLevel: "warn", build: { outDir: work, emptyOutDir: true, chunkSizeWarningLimit: 2000 } }).catch(
      (error: Error) => {
        throw new Refusal(`The console does not build.\n${error.message}`);
      },
    );
  } else {
    mkdirSync(work, { recursive: true });
    writeFileSync(join(work, "index.html"), NO_CONSOLE);
  }
  await buildDemoAssets(work);
  const reference = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
  mkdirSync(join(work, "docs"), { recursive: true });
  for (const name of REFERENCE) copyFileSync(join(reference, name), join(work, "docs", name));
}

/** Puts a finished build in the place of the last one file by file, so that a parallel start never finds a torn file. */
function publish(work: string, assets: string): void {
  const wanted = listFiles(work).map((path) => relative(work, path));
  for (const name of wanted) {
    mkdirSync(dirname(join(assets, name)), { recursive: true });
    renameSync(join(work, name), join(assets, name));
  }
  const keep = new Set(wanted);
  const stale = listFiles(assets).filter((path) => !keep.has(relative(assets, path)) && !relative(assets, path).startsWith(`${GUIDE}/`));
  for (const path of stale) rmSync(path);
}

function stampOf(): string {
  const files = SOURCES.flatMap((source) => listFiles(join(ROOT, source))).filter((path) => !/\.test\.tsx?$/.test(path));
  return files.map((path) => `${path} ${fileHash(path)}`).join("\n");
}
