import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** The files under a folder, sorted; a file stands for itself, and what is absent for nothing. */
export function listFiles(path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (stat.isFile()) return [path];
  return readdirSync(path)
    .filter((name) => name !== "node_modules" && name !== "dist")
    .sort()
    .flatMap((name) => listFiles(join(path, name)));
}
