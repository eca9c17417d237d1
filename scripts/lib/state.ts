import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkAdminKey } from "../../core/auth/admin-key.ts";
import { isAlive, startOf, until } from "./processes.ts";
import { Refusal } from "./refusal.ts";

/** Who uses a state directory: its supervisor and the runtimes it started. */
type Holder = { pid: number; started: string | null; port: number; runtimes: { pid: number; started: string | null }[] };

export type StateLock = { note(runtimes: number[]): void; release(): void };

/** How long a supervisor that was told to end may still hold the directory, in milliseconds. */
const PATIENCE = 3000;

/**
 * Takes a state directory for this process: two runtimes on the same files would corrupt them. What a supervisor that
 * was killed left behind is cleaned up: its note, and a runtime that should have died with it.
 *
 * @throws Refusal when another live supervisor holds the directory.
 */
export async function lockState(state: string, port: number): Promise<StateLock> {
  mkdirSync(state, { recursive: true });
  const file = join(state, "supervisor.json");
  const self: Holder = { pid: process.pid, started: startOf(process.pid), port, runtimes: [] };
  while (!createExclusively(file, JSON.stringify(self))) {
    const holder = readHolder(file);
    if (holder !== null && !(await until(() => !isSame(holder), PATIENCE, 50))) {
      throw new Refusal(
        `The state in ${state} is in use by another Skerry (process ${holder.pid}, port ${holder.port}). Stop that one first, or choose other state with --state DIR.`,
      );
    }
    for (const runtime of holder?.runtimes ?? []) if (isSame(runtime)) process.kill(runtime.pid, "SIGKILL");
    rmSync(file, { force: true });
  }
  let held = true;
  return {
    note(runtimes) {
      if (!held) return;
      const noted: Holder = { ...self, runtimes: runtimes.map((pid) => ({ pid, started: startOf(pid) })) };
      writeFileSync(`${file}.new`, JSON.stringify(noted));
      renameSync(`${file}.new`, file);
    },
    release() {
      held = false;
      rmSync(file, { force: true });
    },
  };
}

/** Creates a file with its whole content at once, unless it exists. */
function createExclusively(file: string, text: string): boolean {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text);
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(draft);
  }
}

function readHolder(file: string): Holder | null {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Holder;
  } catch {
    return null;
  }
}

/** Whether the process that was noted still runs, and is not a later one that was given the same id. */
const isSame = (noted: { pid: number; started: string | null }): boolean =>
  noted.pid !== process.pid && isAlive(noted.pid) && (noted.started === null || startOf(noted.pid) === noted.started);

/**
 * The deployment's admin key: `SKERRY_ADMIN_KEY` where it is set, else the one minted at the first start and kept in
 * the state directory, readable by its owner only.
 *
 * @throws Refusal when a key that was given is a placeholder or too short.
 */
export function adminKey(state: string, given: string | undefined): { key: string; minted: boolean } {
  if (given !== undefined) {
    const fault = checkAdminKey(given);
    if (fault !== null) throw new Refusal(fault);
    return { key: given, minted: false };
  }
  const file = join(state, "admin-key");
  if (existsSync(file)) {
    chmodSync(file, 0o600);
    const key = readFileSync(file, "utf8").trim();
    const fault = checkAdminKey(key);
    if (fault !== null) throw new Refusal(`The admin key in ${file} is refused: ${fault} Delete the file to have a new one minted.`);
    return { key, minted: false };
  }
  mkdirSync(state, { recursive: true });
  let key: string;
  do key = randomBytes(24).toString("base64url");
  while (checkAdminKey(key) !== null);
  writeFileSync(`${file}.new`, `${key}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return { key, minted: true };
}
