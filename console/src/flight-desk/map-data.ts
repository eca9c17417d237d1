import { signal } from "@preact/signals";

/** What the build has drawn (scripts/lib/us-map.ts): the states as one path, and airports by code: city, x, y. */
export type UsMap = { width: number; height: number; land: string; airports: Record<string, [city: string, x: number, y: number]> };

export const usMap = signal<UsMap | null>(null);
export const mapProblem = signal<string | null>(null);

/** Fetched once, when the map is first shown. */
export async function loadMap(): Promise<void> {
  if (usMap.value !== null) return;
  try {
    const response = await fetch("/demo/map.json");
    if (!response.ok) throw new Error(`The map was answered by status ${response.status}.`);
    usMap.value = (await response.json()) as UsMap;
    mapProblem.value = null;
  } catch (thrown) {
    mapProblem.value = thrown instanceof TypeError ? "The map could not be loaded: the server does not answer." : (thrown as Error).message;
  }
}
