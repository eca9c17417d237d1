// Installs the packages that the lockfile names. Plain JavaScript that needs nothing installed: see bootstrap.mjs.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { takeTurn } from "./turns.mjs";

/**
 * Installs the packages of the lockfile, workspaces included, unless exactly these are installed already. Two commands
 * that begin at the same time do not break each other's installation: one installs, the others wait for it and say so.
 *
 * @param {string} root the repository
 * @returns {Promise<string | null>} a sentence that says what is wrong; `null` where all is installed
 */
export async function install(root) {
  const wanted = readPackages(join(root, "package-lock.json"));
  if (wanted === null) return "package-lock.json is missing or damaged: restore it from git.";
  if (missingPackage(root, wanted) === null) return null;
  const turn = await takeTurn(join(root, ".skerry/install"), (pid) =>
    console.error(`Another command (process ${pid}) is installing the packages: waiting for it …`),
  );
  try {
    const missing = missingPackage(root, wanted);
    if (missing === null) return null;
    console.error(`Installing packages (${missing}) …`);
    if ((await npmCi(root, turn)) === 0) return null;
    return "The packages could not be installed: see npm's message above. A network connection is needed the first time.";
  } finally {
    turn.done();
  }
}

/** Which package of the lockfile is not installed in that version, by npm's own record of what it installed; `null` for none. */
function missingPackage(root, wanted) {
  const installed = readPackages(join(root, "node_modules/.package-lock.json"));
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

/** No package's install script is run: none is needed, and newer npm blocks them anyway. */
async function npmCi(root, turn) {
  const windows = process.platform === "win32";
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = spawn(windows ? "npm.cmd" : "npm", args, { cwd: root, stdio: ["ignore", 2, 2], shell: windows });
  // Should this process be killed, npm goes on without it, and must be left to finish.
  npm.once("spawn", () => turn.helper(npm.pid));
  const stop = (signal) => {
    npm.kill(signal);
    npm.once("exit", () => process.exit(128 + constants.signals[signal]));
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, stop);
  try {
    const [status] = await once(npm, "exit");
    return status;
  } catch (error) {
    console.error(error.message);
    return 1;
  } finally {
    for (const signal of signals) process.off(signal, stop);
  }
}
