import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { until } from "./processes.ts";
import { takeTurn } from "./turns.mjs";

const WITHIN = 60_000;

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "skerry-turns-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A process that takes turns: `body` has `takeTurn`, `turns` (the folder), `log` (a file's path) and `fs`. */
function worker(turns: string, log: string, body: string): ChildProcess {
  const script = `
    import * as fs from "node:fs";
    import { takeTurn } from ${JSON.stringify(new URL("./turns.mjs", import.meta.url).href)};
    const [turns, log] = process.argv.slice(1);
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    ${body}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, turns, log], { stdio: ["ignore", "ignore", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

it("lets one process work at a time, each as often as it comes, in the order of their numbers", async () => {
  const [turns, log] = [folder(), join(folder(), "log")];
  writeFileSync(log, "");
  const body = `
    for (let round = 0; round < 6; round++) {
      const turn = await takeTurn(turns, () => {});
      fs.appendFileSync(log, "in " + process.pid + "\\n");
      await pause(3);
      fs.appendFileSync(log, "out " + process.pid + "\\n");
      turn.done();
    }`;
  const workers = Array.from({ length: 4 }, () => worker(turns, log, body));
  expect(await Promise.all(workers.map(async (each) => (await once(each, "exit"))[0]))).toEqual([0, 0, 0, 0]);
  const lines = readFileSync(log, "utf8").trim().split("\n");
  expect(lines).toHaveLength(48);
  for (let at = 0; at < lines.length; at += 2) expect([lines[at], lines[at + 1]]).toEqual([lines[at], lines[at]!.replace("in", "out")]);
  expect(readdirSync(turns)).toEqual([]);
});

it("passes over what a killed process left, and clears it away", async () => {
  const [turns, log] = [folder(), join(folder(), "log")];
  const dead = worker(turns, log, `await takeTurn(turns, () => {}); fs.writeFileSync(log, "in"); await pause(1e9);`);
  expect(await until(() => existsSync(log), WITHIN)).toBe(true);
  dead.kill("SIGKILL");
  await once(dead, "exit");
  expect(readdirSync(turns)).toHaveLength(1);
  // As of one that was killed while it drew, and of one whose id another process has by now.
  writeFileSync(join(turns, `drawing-${dead.pid}-0af`), "");
  writeFileSync(join(turns, "2-1-0af"), JSON.stringify({ pid: 1, started: "never" }));
  const turn = await takeTurn(turns, (pid) => expect.unreachable(`waited for ${pid}`));
  expect(readdirSync(turns)).toHaveLength(1);
  turn.done();
  expect(readdirSync(turns)).toEqual([]);
});

it("says whom it waits for, and waits for a helper that works on after its process was killed", async () => {
  const [turns, log] = [folder(), join(folder(), "log")];
  const helper = worker(turns, log, "await pause(1e9);");
  const killed = worker(
    turns,
    log,
    `const turn = await takeTurn(turns, () => {}); turn.helper(${helper.pid}); fs.writeFileSync(log, "in"); await pause(1e9);`,
  );
  expect(await until(() => existsSync(log), WITHIN)).toBe(true);
  const waitedFor: number[] = [];
  let served = false;
  const taking = takeTurn(turns, (pid) => void waitedFor.push(pid)).then((turn) => {
    served = true;
    return turn;
  });
  expect(await until(() => waitedFor.length > 0, WITHIN)).toBe(true);
  expect(waitedFor).toEqual([killed.pid]);
  killed.kill("SIGKILL");
  await once(killed, "exit");
  // Several looks later.
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(served).toBe(false);
  helper.kill("SIGKILL");
  (await taking).done();
  expect(waitedFor).toHaveLength(1);
});
