// node scripts/bootstrap.mjs COMMAND [ARGUMENTS]: what every npm script of this repository calls.
//
// It needs nothing but Node 20, npm and what it imports: it installs what is missing, then runs scripts/COMMAND on a
// Node that can.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { install } from "./lib/install.mjs";
import { adviceFor, chooseNode } from "./lib/node.mjs";
import { parentOf } from "./lib/proc.mjs";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
/** Set for the run on another Node: the process that started it, which passes signals on. */
const PARENT = "SKERRY_BOOTSTRAP_PID";

const [name, ...rest] = process.argv.slice(2);
const script = [`${name}.ts`, `${name}.mjs`].map((file) => join(ROOT, "scripts", file)).find((file) => existsSync(file));
if (script === undefined) fail(`There is no command "${name}". See the scripts in package.json.`);

const here = { version: process.versions.node, platform: process.platform, arch: process.arch, execPath: process.execPath };
const node = chosen();
const complaint = await install(ROOT);
if (complaint !== null) fail(complaint);
// What is installed by now decides: an optional package may be missing all the same.
const { path, options } = existsSync(node.path) ? node : chosen();
if (path === process.execPath && options.every((option) => process.execArgv.includes(option))) {
  whenOrphaned(() => process.kill(process.pid, "SIGTERM"));
  process.argv.splice(1, 2, script);
  await import(pathToFileURL(script).href);
} else {
  const env = { ...process.env, [PARENT]: String(process.pid) };
  // For the processes too that the commands start.
  if (options.length > 0) env.NODE_OPTIONS = [process.env.NODE_OPTIONS, ...options].filter(Boolean).join(" ");
  const child = spawn(path, [...options, fileURLToPath(import.meta.url), name, ...rest], { stdio: "inherit", env });
  // A terminal's Ctrl-C reaches the child by itself; what is sent to this process alone must be passed on.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  whenOrphaned(() => child.kill("SIGTERM"));
  // As on a system without the C library that the package is built for.
  child.on("error", () => fail(adviceFor(here)));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

function chosen() {
  const choice = chooseNode(ROOT, here);
  if ("complaint" in choice) fail(choice.complaint);
  return choice;
}

/**
 * Calls back once npm, which started this process through a shell, is gone: npm passes a signal on to that shell only,
 * and nothing at all when it is killed, so that a server would run on unseen. Without npm nobody is watched.
 */
function whenOrphaned(callback) {
  if (process.env.npm_lifecycle_event === undefined && process.env[PARENT] === undefined) return;
  const parent = process.ppid;
  const grandparent = process.env[PARENT] === undefined ? parentOf(parent) : null;
  const watch = setInterval(() => {
    if (process.ppid === parent && (grandparent === null || parentOf(parent) === grandparent)) return;
    clearInterval(watch);
    callback();
  }, 100);
  watch.unref();
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
