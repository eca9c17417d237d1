// node scripts/bootstrap.mjs COMMAND [ARGUMENTS]: what every npm script of this repository calls.
//
// It needs nothing but Node 20, npm and this file: it installs what is missing, then runs scripts/COMMAND on the Node
// that the repository pins. No package's install script is run: none is needed, and newer npm blocks them anyway.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
/** The first major version that runs TypeScript as it stands and that wrangler supports. */
const NODE_MAJOR = 24;
/** Set for the run on the pinned Node: the process that started it, which passes signals on. */
const PARENT = "SKERRY_BOOTSTRAP_PID";

const [name, ...rest] = process.argv.slice(2);
const script = [`${name}.ts`, `${name}.mjs`].map((file) => join(ROOT, "scripts", file)).find((file) => existsSync(file));
if (script === undefined) fail(`There is no command "${name}". See the scripts in package.json.`);

install();
const node = pinnedNode();
if (node === process.execPath) {
  whenOrphaned(() => process.kill(process.pid, "SIGTERM"));
  process.argv.splice(1, 2, script);
  await import(pathToFileURL(script).href);
} else {
  const env = { ...process.env, [PARENT]: String(process.pid) };
  const child = spawn(node, [fileURLToPath(import.meta.url), name, ...rest], { stdio: "inherit", env });
  // A terminal's Ctrl-C reaches the child by itself; what is sent to this process alone must be passed on.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  whenOrphaned(() => child.kill("SIGTERM"));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
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

/** The parent of a process, or `null` where the system does not tell. The name, in parentheses, may hold spaces: proc(5). */
function parentOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return null;
  }
}

/** Installs the packages of the lockfile, workspaces included, unless exactly these are installed already. */
function install() {
  const missing = missingPackage();
  if (missing === null) return;
  console.error(`Installing packages (${missing}) …`);
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const { status } = spawnSync(npm, args, { cwd: ROOT, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (status !== 0) fail("The packages could not be installed: see npm's message above. A network connection is needed the first time.");
}

/** Which package of the lockfile is not installed in that version, by npm's own record of what it installed; `null` for none. */
function missingPackage() {
  const wanted = readPackages(join(ROOT, "package-lock.json"));
  if (wanted === null) fail("package-lock.json is missing or damaged: restore it from git.");
  const installed = readPackages(join(ROOT, "node_modules/.package-lock.json"));
  if (installed === null) return "none are installed yet";
  for (const [path, entry] of Object.entries(wanted)) {
    // Links are our own workspaces; optional packages are there only for the platform they fit.
    if (!path.includes("node_modules/") || entry.link || (entry.optional && !(path in installed))) continue;
    if (installed[path]?.version !== entry.version) return `${path.replace(/^.*node_modules\//, "")}@${entry.version} is missing`;
  }
  return null;
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return null;
  }
}

/** This Node if it is new enough, else the one that the lockfile pins for this platform. */
function pinnedNode() {
  if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR) return process.execPath;
  const pinned = join(ROOT, `node_modules/node-${process.platform}-${process.arch}/bin/node`);
  if (existsSync(pinned)) return pinned;
  fail(
    `Skerry runs on Node ${NODE_MAJOR}. No package of it exists for ${process.platform} on ${process.arch}, and this is Node ${process.versions.node}: install Node ${NODE_MAJOR} or newer and try again.`,
  );
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
