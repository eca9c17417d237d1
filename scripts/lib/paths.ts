import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root: every command works the same whatever directory it is called from. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** Where builds go; ignored by git, safe to delete. */
export const DIST = join(ROOT, "dist");

/** The default place of a local deployment's state; ignored by git. */
export const DEFAULT_STATE = join(ROOT, ".skerry/state");

/** The SHA-256 of some bytes, in hexadecimal. */
export const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** The SHA-256 of a file, or `"absent"`, so that a file's removal changes a stamp too. */
export function fileHash(path: string): string {
  try {
    return sha256(readFileSync(path));
  } catch {
    return "absent";
  }
}
