import type { Page } from "./page.ts";

/** The pages in the order of the navigation; the first is where one arrives. */
export const PAGES: readonly [Page, ...Page[]] = [
  { path: "", title: "Overview", load: () => import("./overview/page.tsx") },
  { path: "flight-desk", title: "Flight desk", load: () => import("./flight-desk/page.tsx") },
  { path: "streams", title: "Streams", load: () => import("./streams/page.tsx") },
  { path: "rooms", title: "Rooms", load: () => import("./rooms/page.tsx") },
  { path: "groups", title: "Groups", load: () => import("./groups/page.tsx") },
  { path: "tokens", title: "Tokens", load: () => import("./tokens/page.tsx") },
  { path: "usage", title: "Usage", load: () => import("./usage/page.tsx") },
];
