import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { until } from "./processes.ts";

const LOCK = { packages: { "": {}, "node_modules/a": { version: "1.0.0" }, "node_modules/b": { version: "2.0.0", optional: true } } };

const RECORD = 'mkdir node_modules && echo "$LOCK" > node_modules/.package-lock.json';

/** A repository with a lockfile, and an npm that takes a while, refuses to run beside another, and writes npm's own record. */
function repository(npm = `sleep 0.5; ${RECORD}`) {
  const root = mkdtempSync(join(tmpdir(), "skerry-install-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  writeFileSync(join(root, "package-lock.json"), JSON.stringify(LOCK));
  const bin = join(root, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "npm"), `#!/bin/sh\necho "$@" >> npm.log\nmkdir busy || exit 9\n${npm}\nstatus=$?\nrmdir busy\nexit $status\n`);
  chmodSync(join(bin, "npm"), 0o755);
  const install = () => {
    const script = `
      import { install } from ${JSON.stringify(new URL("./install.mjs", import.meta.url).href)};
      console.log(JSON.stringify(await install(${JSON.stringify(root)})));`;
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, LOCK: JSON.stringify(LOCK) };
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { cwd: root, stdio: ["ignore", "pipe", "pipe"], env });
    onTestFinished(() => void child.kill("SIGKILL"));
    let [out, said] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const ended = once(child, "close").then(([status]) => ({ status, complaint: out === "" ? null : JSON.parse(out), said }));
    return { child, said: () => said, ended };
  };
  const calls = () => readFileSync(join(root, "npm.log"), "utf8").trim().split("\n");
  return { root, install, calls };
}

it("installs once for all commands that begin at the same time: the others wait, and say for whom", async () => {
  const { root, install, calls } = repository();
  const ended = await Promise.all([install(), install(), install()].map((each) => each.ended));
  expect(ended.map(({ complaint, status }) => [complaint, status])).toEqual([
    [null, 0],
    [null, 0],
    [null, 0],
  ]);
  expect(calls()).toEqual(["ci --ignore-scripts --no-audit --no-fund --loglevel=error"]);
  const installing = ended.filter(({ said }) => said.includes("Installing packages (none are installed yet)"));
  const waiting = ended.filter(({ said }) => /^Another command \(process \d+\) is installing the packages: waiting for it …$/m.test(said));
  // One that came when all was done already has nothing to say.
  expect(installing).toHaveLength(1);
  expect(ended.filter((each) => !installing.includes(each) && !waiting.includes(each) && each.said !== "")).toEqual([]);
  expect(readdirSync(join(root, ".skerry/install"))).toEqual([]);
  const again = await install().ended;
  expect(again).toEqual({ status: 0, complaint: null, said: "" });
  expect(calls()).toHaveLength(1);
});

it("takes over from one that was killed, once its npm has ended too", async () => {
  const { root, install, calls } = repository(`i=0; while [ ! -e finish ] && [ $i -lt 1200 ]; do i=$((i+1)); sleep 0.05; done; ${RECORD}`);
  const { child } = install();
  // Its npm runs, and is noted as such.
  const turn = () => readdirSync(join(root, ".skerry/install")).map((name) => readFileSync(join(root, ".skerry/install", name), "utf8"));
  expect(await until(() => existsSync(join(root, "busy")) && turn().join("\n").split("\n").length === 2, 60_000)).toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  const next = install();
  expect(await until(() => next.said().includes("waiting for it"), 60_000), next.said()).toBe(true);
  writeFileSync(join(root, "finish"), "");
  expect(await next.ended).toMatchObject({ complaint: null });
  expect(calls()).toHaveLength(1);
});

it("says what went wrong, and lets the next one try", async () => {
  const { install, calls } = repository("false");
  for (const times of [1, 2]) {
    expect((await install().ended).complaint).toMatch(/could not be installed/);
    expect(calls()).toHaveLength(times);
  }
});
