import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { DIST, fileHash, ROOT, sha256 } from "../lib/paths.ts";
import { listFiles } from "../lib/tree.ts";

/** The guide's folder among the static assets, and its route. */
export const GUIDE = "guide";
/** Where pages may come from; and what makes them. */
const SOURCES = ["docs", "core", "wasm/SPEC.md", "examples", "README.md", "CONTRIBUTING.md", "THREAT_MODEL.md", "SECURITY.md"];
const MAKERS = ["scripts/guide", "core/wire/errors.ts", "package-lock.json"];
/** What every page loads. */
const FILES = ["guide.css", "search.css", "guide.js"];

/** Writes the guide into the folder of the static assets, unless what is there is of these very sources. */
export async function buildGuide(assets: string): Promise<void> {
  const stampFile = join(DIST, "guide.stamp");
  const stamp = stampOf();
  if (existsSync(join(assets, GUIDE, "index.html")) && fileHash(stampFile) === sha256(stamp)) return;
  // Loaded here only: most starts build nothing.
  const [{ assetOf, IMAGES, readSite, renderPage }, { searchIndex }] = await Promise.all([import("./site.ts"), import("./search.ts")]);
  const site = readSite(ROOT);
  const files = new Map<string, string | Uint8Array>(site.pages.map((page) => [assetOf(page), renderPage(site, page)]));
  for (const name of FILES) files.set(`${GUIDE}/${name}`, readFileSync(new URL(name, import.meta.url), "utf8"));
  for (const path of listFiles(join(ROOT, IMAGES))) files.set(`${GUIDE}/images/${basename(path)}`, readFileSync(path));
  files.set(`${GUIDE}/search.js`, await searchScript());
  files.set(`${GUIDE}/search.json`, searchIndex(site));
  for (const [name, contents] of files) write(join(assets, name), contents, `${assets}.guide-${process.pid}`);
  for (const path of listFiles(join(assets, GUIDE))) if (!files.has(relative(assets, path))) rmSync(path, { force: true });
  writeFileSync(stampFile, stamp);
}

/** The search's script with the library it uses, in one file. */
async function searchScript(): Promise<string> {
  const { build } = await import("esbuild");
  const entry = fileURLToPath(new URL("search-page.ts", import.meta.url));
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, minify: true, format: "esm", target: "es2022", write: false });
  return outputFiles[0]!.text;
}

/** By a rename, from beside the assets: neither a running server nor a parallel build finds half a page. */
function write(path: string, contents: string | Uint8Array, draft: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(draft, contents);
  renameSync(draft, path);
}

function stampOf(): string {
  const of = (sources: string[]) => sources.flatMap((source) => listFiles(join(ROOT, source)));
  const files = [
    ...of(SOURCES).filter((path) => /\.(md|svg|webp)$/.test(path)),
    ...of(MAKERS).filter((path) => !path.endsWith(".test.ts")),
  ];
  return files.map((path) => `${path} ${fileHash(path)}`).join("\n");
}
