import { computed, signal } from "@preact/signals";
import type { Page } from "./page.ts";
import { PAGES } from "./pages.ts";

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

const parts = computed(() => hash.value.replace(/^#\/?/, "").split("/").map(decoded));

/** The page the address names; an address that names none is that of the first. */
export const page = computed<Page>(() => PAGES.find(({ path }) => parts.value[0] === path) ?? PAGES[0]);

/** What follows the page in the address: names of what it shows, such as `["topics", "flights"]`. */
export const place = computed<readonly string[]>(() => (parts.value[0] === page.value.path ? parts.value.slice(1) : []));

/** The address of a page, or of a place in it. A fragment, because the server knows the console as one file. */
export function hrefOf(path: string, ...place: string[]): string {
  return `#/${[path, ...place].map(encodeURIComponent).join("/")}`;
}

export function go(path: string, ...place: string[]): void {
  location.hash = hrefOf(path, ...place);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
