// `npm run example -- NAME [arguments]`: runs an example of examples/ on the Node that the repository pins, with the admin
// key of the local server where none is set.
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { DEFAULT_STATE, ROOT } from "./lib/paths.ts";
import { command, Refusal } from "./lib/refusal.ts";

await command(async () => {
  const [name, ...rest] = process.argv.slice(2);
  const files = globSync("examples/*/*.mjs", { cwd: ROOT });
  const file = files.find((path) => path.split(/[\\/]/)[1] === name);
  if (file === undefined) {
    const names = files.map((path) => path.split(/[\\/]/)[1]).sort();
    throw new Refusal(`npm run example -- NAME, where NAME is one of ${names.join(", ")}.`);
  }
  const key = join(DEFAULT_STATE, "admin-key");
  if (process.env.SKERRY_ADMIN_KEY === undefined && existsSync(key)) process.env.SKERRY_ADMIN_KEY = readFileSync(key, "utf8").trim();
  process.argv.splice(2, Number.POSITIVE_INFINITY, ...rest);
  await import(pathToFileURL(join(ROOT, file)).href);
});
