/** Answers any request with where in the network it came from. */
const TRACE = "https://www.cloudflare.com/cdn-cgi/trace";
const PATIENCE_MS = 5_000;

/**
 * The data centre that this object runs in, by the three letters of its airport; null where that cannot be found out. Objects do
 * not move while they live, but a location hint is only a wish: this is where it really is.
 */
export async function measuredPlace(): Promise<string | null> {
  try {
    const response = await fetch(TRACE, { signal: AbortSignal.timeout(PATIENCE_MS) });
    return /^colo=([A-Z]{3})$/m.exec(await response.text())?.[1] ?? null;
  } catch {
    return null;
  }
}
