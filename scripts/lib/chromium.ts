import { existsSync } from "node:fs";

const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

export const CHROMIUM_MISSING =
  "There is no Chromium on this machine, so the browser tests cannot run. Install it (on Debian: apt-get install chromium) or set CHROMIUM to its path.";

/** The Chromium that the browser tests drive: the variable CHROMIUM, else where packages put it; `null` for none. */
export function chromiumPath(): string | null {
  const { CHROMIUM } = process.env;
  if (CHROMIUM !== undefined && CHROMIUM !== "") return existsSync(CHROMIUM) ? CHROMIUM : null;
  return PLACES.find((path) => existsSync(path)) ?? null;
}
