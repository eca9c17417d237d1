import { type Browser, chromium } from "playwright-core";
import { CHROMIUM_MISSING, chromiumPath } from "../../scripts/lib/chromium.ts";

/**
 * Starts the system's Chromium without a window, with a profile of its own. It asks nothing of the outside world: a
 * closed network would otherwise hold up its first pages.
 *
 * @throws when there is none, with a sentence that says what to install.
 */
export function launchBrowser(): Promise<Browser> {
  const executablePath = chromiumPath();
  if (executablePath === null) throw new Error(CHROMIUM_MISSING);
  const args = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ];
  return chromium.launch({ executablePath, headless: true, args });
}
