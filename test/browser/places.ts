import type { Page } from "playwright-core";
import { open } from "./tab.ts";

/**
 * Every page of the console, and what of it shows that it has what it is for: once the sample of flights is in (`full`),
 * and on a fresh deployment (`empty`; null: there is no such place yet). A page that is added to the console is added here,
 * and is then held to what holds of all of them.
 */
export type Place = {
  path: string;
  heading: string;
  full: (page: Page) => Promise<unknown>;
  empty: ((page: Page) => Promise<unknown>) | null;
};

const row = (id: string, text?: string) => (page: Page) =>
  page
    .getByTestId(id)
    .locator("tbody tr", text === undefined ? {} : { hasText: text })
    .first()
    .waitFor();
const says = (text: string | RegExp) => (page: Page) => page.getByRole("main").getByText(text).first().waitFor();

export const PLACES: readonly Place[] = [
  {
    path: "",
    heading: "Overview",
    full: (page) =>
      page
        .getByTestId("flow")
        .getByRole("link", { name: /Topic flights [\d,]+ records/ })
        .waitFor(),
    empty: (page) => page.getByTestId("fresh").waitFor(),
  },
  {
    path: "flight-desk",
    heading: "Flight desk",
    full: async (page) => {
      await page.getByTestId("delay-chart").waitFor();
      await page.getByRole("region", { name: "Shared note" }).scrollIntoViewIfNeeded();
      await page.getByRole("textbox", { name: "Shared note" }).waitFor();
    },
    empty: (page) => page.getByTestId("empty").waitFor(),
  },
  { path: "streams", heading: "Streams", full: row("topics", "flights"), empty: says("No topic yet.") },
  { path: "streams/topics/flights", heading: "flights", full: row("tail"), empty: says('There is no topic "flights"') },
  { path: "streams/topologies/flight-desk", heading: "flight-desk", full: row("tasks"), empty: row("tasks") },
  { path: "streams/tables/delays", heading: "delays", full: row("table-rows"), empty: says("No row answers that.") },
  { path: "rooms", heading: "Rooms", full: row("rooms", "flight-desk"), empty: says(/^No room yet/) },
  { path: "rooms/flight-desk", heading: "flight-desk", full: (page) => page.getByTestId("connections").waitFor(), empty: null },
  { path: "groups", heading: "Groups", full: row("groups", "desk"), empty: says(/^No group yet/) },
  { path: "groups/desk", heading: "desk", full: row("keys", "greeting"), empty: says('There is no group "desk"') },
  { path: "tokens", heading: "Tokens", full: row("tokens"), empty: says("None. Mint one above.") },
  {
    path: "usage",
    heading: "Usage",
    full: row("by-capability"),
    empty: (page) => page.getByTestId("used-requests").waitFor(),
  },
];

/** Goes to a place and waits until it shows what it has. */
export async function visit(page: Page, { path, heading, full, empty }: Place, data: "full" | "empty"): Promise<void> {
  await open(page, path, heading);
  await (data === "full" ? full(page) : empty?.(page));
}
