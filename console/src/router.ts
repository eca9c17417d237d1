import { computed, signal } from "@preact/signals";
import type { Page } from "./page.ts";
import { PAGES } from "./pages.ts";

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

/** The page the address names; an address that names none is that of the first. */
export const page = computed<Page>(() => PAGES.find(({ path }) => hash.value === hrefOf(path)) ?? PAGES[0]);

/** The address of a page. A fragment, because the server knows the console as one file. */
export function hrefOf(path: string): string {
  return `#/${path}`;
}
