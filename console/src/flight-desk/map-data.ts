import { signal } from "@preact/signals";

/** What the build has drawn (scripts/lib/us-map.ts): the states as one path, and airports by code: city, x, y. */
export type UsMap = { width: number; height: number; land: string; airports: Record<string, [city: string, x: number, y: number]> };

export const usMap = signal<UsMap | null>(null);
export const mapProblem = signal<string | null>(null);

const RETRY = 3_000;

/** Fetches the map once, and again until it is here or nobody waits for it any more. */
export async function loadMap(stop: AbortSignal): Promise<void> {
  while (usMap.value === null && !stop.aborted) {
    try {
      const response = await fetch("/demo/map.json", { signal: stop });
      if (!response.ok) throw new Error(`it was answered by status ${response.status}`);
      usMap.value = (await response.json()) as UsMap;
      mapProblem.value = null;
    } catch (thrown) {
      if (stop.aborted) return;
      const why = thrown instanceof TypeError ? "the server does not answer" : (thrown as Error).message;
      mapProblem.value = `The map could not be loaded: ${why}. Trying again.`;
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}
