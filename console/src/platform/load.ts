import type { Page } from "../page.ts";

const RETRY = 2_000;
/** When this tab last started over because its code was no longer there, Unix milliseconds: not again and again. */
const STARTED_OVER = "skerry.started-over";
const NOT_AGAIN_WITHIN = 60_000;

/**
 * The code of a page, however long the server is away; null once nobody waits for it. A server that is there without
 * that code has been updated: then the tab starts over, which brings it the new console.
 */
export async function loadPage(page: Page, signal: AbortSignal, onFailure: () => void): Promise<Awaited<ReturnType<Page["load"]>> | null> {
  for (;;) {
    try {
      return await page.load();
    } catch {
      if (signal.aborted) return null;
      onFailure();
    }
    const answers = await fetch("/healthz").then(
      ({ ok }) => ok,
      () => false,
    );
    if (signal.aborted) return null;
    // Some browsers do not ask again for a module that they once could not get, so this is the way back there too.
    if (answers && (await failsStill(page)) && startsOver()) location.reload();
    await new Promise((resolve) => setTimeout(resolve, RETRY));
  }
}

const failsStill = (page: Page): Promise<boolean> =>
  page.load().then(
    () => false,
    () => true,
  );

function startsOver(): boolean {
  if (Date.now() - Number(sessionStorage.getItem(STARTED_OVER) ?? 0) < NOT_AGAIN_WITHIN) return false;
  sessionStorage.setItem(STARTED_OVER, String(Date.now()));
  return true;
}
