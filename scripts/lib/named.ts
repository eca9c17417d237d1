import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { ROOT } from "./paths.ts";
import { Refusal } from "./refusal.ts";
import { runNode } from "./tools.ts";

/**
 * Runs one of the scripts of a folder by its name, with the rest of the arguments; without a name it lists them, each
 * with the first sentence of its opening comment.
 *
 * @throws Refusal when there is no script of that name.
 */
export async function runNamed(folder: string, usage: string): Promise<void> {
  const [name, ...rest] = process.argv.slice(2);
  const scripts = scriptsOf(folder);
  if (name === undefined) {
    console.log(`${usage}\n`);
    for (const [each, path] of scripts) console.log(`  ${each.padEnd(16)} ${summaryOf(path)}`);
    if (scripts.size === 0) console.log("  (there are none yet)");
    return;
  }
  const path = scripts.get(name);
  if (path === undefined) throw new Refusal(`There is no "${name}" in ${folder}/. There are: ${[...scripts.keys()].join(", ") || "none"}.`);
  process.exitCode = (await runNode(path, rest)).status;
}

function scriptsOf(folder: string): Map<string, string> {
  const dir = join(ROOT, folder);
  const files = existsSync(dir) ? readdirSync(dir).filter((file) => /^[^.]+\.(mjs|ts)$/.test(file)) : [];
  return new Map(files.sort().map((file) => [basename(file, extname(file)), join(dir, file)]));
}

function summaryOf(path: string): string {
  const opening = readFileSync(path, "utf8").split("\n").slice(0, 8);
  const text = opening
    .filter((line) => /^\s*(\/\/|\/?\*)/.test(line))
    .map((line) => line.replace(/^\s*(\/\/|\/?\*+\/?)\s?/, ""))
    .join(" ")
    .trim();
  const said = text.replace(/^`[^`]*`:\s*/, "");
  return (/^.*?\.(?=\s|$)/.exec(said)?.[0] ?? said).slice(0, 110);
}
