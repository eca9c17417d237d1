// One process at a time, among processes that know of each other by files only. Plain JavaScript: see proc.mjs.
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive, startOf } from "./proc.mjs";

const LOOK_AGAIN_MS = 100;

/**
 * Waits until no other process is at work in a folder. Then it is this one's turn, until `done()`.
 *
 * Lamport's bakery: who comes draws a number above all that are there, and is served when nobody holds a lower one. Each
 * process writes files of its own only, under names that never come again, so what a dead one left behind is passed
 * over: nothing has to be taken over from it, which two could do at once.
 *
 * @param {string} folder where the numbers lie; made where it is missing
 * @param {(pid: number) => void} onWait called once, with a process that is waited for, if there is one
 * @returns {Promise<{ helper(pid: number): void, done(): void }>} `helper` names a process that works on even if this
 *   one is killed: the next wait for it too
 */
export async function takeTurn(folder, onWait) {
  mkdirSync(folder, { recursive: true });
  const me = `${process.pid}-${randomUUID()}`;
  const drawing = join(folder, `drawing-${me}`);
  writeFileSync(drawing, identity(process.pid));
  const number = Math.max(0, ...tickets(folder).map((ticket) => ticket.number)) + 1;
  const mine = { number, name: `${number}-${me}` };
  const file = join(folder, mine.name);
  writeFileSync(file, identity(process.pid));
  rmSync(drawing);

  let told = false;
  /** @param {() => string[]} inFront the names of those that go first */
  const waitFor = async (inFront) => {
    for (;;) {
      const pid = inFront()
        .map((name) => workerOf(join(folder, name)))
        .find((each) => each !== null);
      if (pid === undefined) return;
      if (!told) onWait(pid);
      told = true;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  };
  // Who is drawing now may be about to hold a lower number than this one, or the same; who begins later will not.
  const drawers = readdirSync(folder).filter((name) => name.startsWith("drawing-"));
  await waitFor(() => drawers);
  await waitFor(() =>
    tickets(folder)
      .filter(({ number, name }) => number < mine.number || (number === mine.number && name < mine.name))
      .map(({ name }) => name),
  );
  return {
    helper: (pid) => writeFileSync(file, `${identity(process.pid)}\n${identity(pid)}`),
    done: () => rmSync(file, { force: true }),
  };
}

/** What is noted of a process, so that a later one with the same id is not taken for it. */
const identity = (pid) => JSON.stringify({ pid, started: startOf(pid) });

/** @returns {{ number: number, name: string }[]} */
const tickets = (folder) =>
  readdirSync(folder)
    .filter((name) => /^\d/.test(name))
    .map((name) => ({ number: Number.parseInt(name, 10), name }));

/** The process that a file speaks for and that still runs; `null` for none, and then the file is cleared away. */
function workerOf(file) {
  try {
    for (const line of readFileSync(file, "utf8").split("\n")) {
      const { pid, started } = JSON.parse(line);
      if (isAlive(pid) && startOf(pid) === started) return pid;
    }
  } catch (error) {
    if (error.code === "ENOENT") return null;
    if (!(error instanceof SyntaxError)) throw error;
    // Not written to its end yet, unless its process died over it.
    const pid = Number(/-(\d+)-[\da-f-]+$/.exec(file)[1]);
    if (isAlive(pid)) return pid;
  }
  rmSync(file, { force: true });
  return null;
}
