// Which Node runs the commands. Plain JavaScript that needs nothing installed: see bootstrap.mjs.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What is pinned, and what a Node of the user's own is run as it is from. */
const PINNED_MAJOR = 24;
/** The oldest Node that the tools under the commands support. */
const OLDEST = [22, 12];
/** From here on Node reads TypeScript without being told to. */
const READS_TYPESCRIPT = [22, 18];

/**
 * The Node to run on: this one if it is new enough, else the one that the packages bring for this platform, else this
 * one where the tools still support it.
 *
 * @param {string} root the repository
 * @param {{ version: string, platform: string, arch: string, execPath: string }} here
 * @returns {{ path: string, options: string[] } | { complaint: string }} `path` is to exist once the packages are
 *   installed; `options` go before the script
 */
export function chooseNode(root, { version, platform, arch, execPath }) {
  const own = version.split(".").map(Number);
  if (own[0] >= PINNED_MAJOR) return { path: execPath, options: [] };
  const { optionalDependencies = {} } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const name = `node-${platform}-${arch}`;
  const folder = join(root, "node_modules", name);
  // Installed, or about to be.
  const brought = name in optionalDependencies && (existsSync(folder) || !existsSync(join(root, "node_modules/.package-lock.json")));
  if (brought) return { path: join(folder, "bin/node"), options: [] };
  if (isBefore(own, OLDEST)) return { complaint: adviceFor({ version, platform, arch }) };
  if (isBefore(own, READS_TYPESCRIPT))
    return { path: execPath, options: ["--experimental-strip-types", "--disable-warning=ExperimentalWarning"] };
  return { path: execPath, options: [] };
}

/** What to do where no Node at hand will do. */
export const adviceFor = ({ version, platform, arch }) =>
  `Skerry runs on Node ${PINNED_MAJOR}, and on Node ${OLDEST.join(".")} at least. This is Node ${version}, and the packages bring no newer one that runs on ${platform} (${arch}).
Install Node ${PINNED_MAJOR} and give the command again. One of these will do, whichever you have:

  nvm install ${PINNED_MAJOR} && nvm use ${PINNED_MAJOR}
  fnm install ${PINNED_MAJOR} && fnm use ${PINNED_MAJOR}
  brew install node@${PINNED_MAJOR} && brew link --overwrite node@${PINNED_MAJOR}
  the installer from https://nodejs.org/`;

/** @param {number[]} version @param {number[]} other major and minor */
const isBefore = ([major, minor], [otherMajor, otherMinor]) => major < otherMajor || (major === otherMajor && minor < otherMinor);
