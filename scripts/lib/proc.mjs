// What the system tells of processes. In plain JavaScript, because bootstrap.mjs needs it before anything is installed.
import { readFileSync } from "node:fs";

/**
 * Whether a process runs (a zombie does not).
 *
 * @param {number} pid
 * @returns {boolean}
 */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
  return statOf(pid)?.state !== "Z";
}

/**
 * What tells a process from a later one with the same id: the time it started, in the kernel's ticks. `null` where the
 * system does not tell (there is no /proc).
 *
 * @param {number} pid
 * @returns {string | null}
 */
export const startOf = (pid) => statOf(pid)?.started ?? null;

/**
 * The parent of a process, or `null` where the system does not tell.
 *
 * @param {number} pid
 * @returns {number | null}
 */
export const parentOf = (pid) => statOf(pid)?.parent ?? null;

/** @returns {{ state: string, parent: number, started: string } | null} */
function statOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command, in parentheses, may hold spaces; the fields after it do not. See proc(5).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0], parent: Number(fields[1]), started: fields[19] };
  } catch {
    return null;
  }
}
