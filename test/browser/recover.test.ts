import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startServer } from "../e2e/harness.ts";
import { launchBrowser } from "./launch.ts";
import { PLACES, type Place, visit } from "./places.ts";
import { openPage, type Tab } from "./tab.ts";
import { FLIGHT_SAMPLE, soon, World } from "./world.ts";

/** Later than all of the sample, so that its window is open, and of an airport that the sample does not have. */
const LATEST = Math.max(...FLIGHT_SAMPLE.map(({ date }) => date));
const NEWS = { ...FLIGHT_SAMPLE[0]!, id: "after-the-restart", origin: "ZZZ", date: LATEST };

/** What a place shows of the data, as text; and what it must show once there is news. */
type Watch = { shown: (page: Page) => Promise<string>; news: (text: string, before: string) => boolean };

const text = (page: Page, id: string) => page.getByTestId(id).first().textContent().then(String);
const grown = (text: string, before: string) => number(text) > number(before);
const number = (text: string) => Number.parseFloat(text.replaceAll(",", ""));
const names = (word: string) => (text: string) => text.includes(word);

/** By path, as in {@link PLACES}: a page without an entry fails the test, so that none is forgotten. */
const WATCHES: Record<string, Watch> = {
  "": {
    shown: (page) =>
      page
        .getByTestId("flow")
        .getByRole("link", { name: /^Topic flights/ })
        .textContent()
        .then(String),
    news: (now, before) => now !== before,
  },
  "flight-desk": { shown: (page) => text(page, "appended"), news: grown },
  streams: { shown: (page) => text(page, "topics"), news: names("made-after") },
  "streams/topics/flights": { shown: (page) => text(page, "tail"), news: names("after-the-restart") },
  "streams/topologies/flight-desk": { shown: (page) => text(page, "tasks"), news: (now, before) => now !== before },
  "streams/tables/delays": {
    shown: (page) => page.getByRole("region", { name: "Rows", exact: true }).textContent().then(String),
    news: names("ZZZ"),
  },
  rooms: { shown: (page) => text(page, "rooms"), news: names("made-after") },
  "rooms/flight-desk": { shown: (page) => text(page, "connections"), news: grown },
  groups: { shown: (page) => text(page, "groups"), news: names("made-after") },
  "groups/desk": { shown: (page) => text(page, "keys"), news: names("after the restart") },
  tokens: { shown: (page) => text(page, "tokens"), news: names("grace") },
  usage: { shown: (page) => text(page, "used-requests"), news: grown },
};

let world: World;
let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  const [server, launched] = await Promise.all([startServer(), launchBrowser()]);
  world = new World(server);
  browser = launched;
  context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  await context.addInitScript((key) => sessionStorage.setItem("skerry.credential", key), world.key);
  await world.createFlights();
  await world.send();
  await world.api.untilApplied("flight-desk");
  await world.mint([{ capability: "rooms", name: "*", rights: ["read"] }], { subject: "ada" });
  await world.makeGroup("desk");
  await soon("a room with a board", async () => (await world.api.doc("flight-desk"))?.board !== undefined, 30_000);
});

afterAll(async () => {
  await browser?.close();
  await world?.server.close();
});

it("every page keeps what it showed while the server is gone, and goes on by itself when it is back", async () => {
  const tabs: { place: Place; watch: Watch; tab: Tab; before: string }[] = [];
  for (const place of PLACES) {
    const watch = WATCHES[place.path];
    expect(watch, `#/${place.path} is watched`).toBeDefined();
    const tab = await openPage(context, world.url);
    await visit(tab.page, place, "full");
    tabs.push({ place, watch: watch!, tab, before: "" });
  }
  const on = (path: string) => tabs.find(({ place }) => place.path === path)!.tab.page;

  // What people have under way: a note that is saved, a form half filled, a question that was asked.
  const note = on("flight-desk").getByRole("textbox", { name: "Shared note" });
  await note.click();
  await on("flight-desk").keyboard.type("Kept through the restart.");
  await on("flight-desk").getByText("Saved", { exact: true }).waitFor();
  await on("tokens").getByLabel(/^For/).fill("half-filled");
  await on("streams/topics/flights").getByLabel("Records as JSON").fill('{"half": "written"}');
  const table = on("streams/tables/delays");
  await table.getByLabel("Key", { exact: true }).fill("ZZZ");
  await table.getByRole("button", { name: "Ask" }).click();
  await table.getByText("No row answers that.").waitFor();

  for (const each of tabs) {
    await each.tab.page.getByRole("button", { name: "Connections: Live" }).waitFor();
    each.before = await each.watch.shown(each.tab.page);
    expect(each.before, each.place.path).not.toBe("");
  }
  await world.server.kill();
  for (const { tab, place, watch, before } of tabs) {
    await tab.page.getByRole("button", { name: "Connections: Reconnecting" }).waitFor({ timeout: 30_000 });
    // Another request may have been answered before the end came: what grows may have grown, but nothing went.
    const now = await watch.shown(tab.page);
    if (watch.news === grown) expect(number(now), place.path).toBeGreaterThanOrEqual(number(before));
    else expect(now.length, place.path).toBeGreaterThanOrEqual(before.length);
  }

  world.server = await world.server.restart();
  for (const { tab } of tabs) await tab.page.getByRole("button", { name: "Connections: Live" }).waitFor({ timeout: 30_000 });
  expect((await world.room()).notes).toContain("Kept through the restart.");
  expect(await note.textContent()).toContain("Kept through the restart.");
  expect(await on("tokens").getByLabel(/^For/).inputValue()).toBe("half-filled");
  expect(await on("streams/topics/flights").getByLabel("Records as JSON").inputValue()).toBe('{"half": "written"}');

  await world.call("PUT", "/v1/topics/made-after", {});
  await world.call("POST", "/v1/stream/flights", [NEWS]);
  await world.write("made-after", "hello");
  await world.makeGroup("made-after");
  await world.put("desk", "greeting", "after the restart");
  await world.mint([{ capability: "rooms", name: "*", rights: ["read"] }], { subject: "grace" });
  const another = await openPage(context, world.url);
  await visit(another.page, PLACES.find(({ path }) => path === "flight-desk")!, "full");
  for (const { tab, place, watch, before } of tabs) {
    await soon(`news on #/${place.path}`, async () => watch.news(await watch.shown(tab.page), before), 60_000);
  }
  // What a developer's console shows in red are the requests that nobody answered.
  for (const { tab, place } of tabs) {
    const other = tab.complaints.filter(
      (complaint) => !/ERR_CONNECTION_|ERR_SOCKET_|WebSocket connection to|ERR_EMPTY_RESPONSE/.test(complaint),
    );
    expect(other, place.path).toEqual([]);
  }
  for (const { tab } of [...tabs, { tab: another }]) await tab.page.close();
});

it("a page that is first opened while the server is gone is there when it is back", async () => {
  const { page } = await openPage(context, world.url);
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  await world.server.kill();
  await page.getByRole("link", { name: "Usage", exact: true }).click();
  await page
    .getByRole("alert")
    .getByText(/could not be loaded/)
    .waitFor({ timeout: 30_000 });
  world.server = await world.server.restart();
  await page.getByRole("heading", { name: "Usage", level: 1 }).waitFor({ timeout: 60_000 });
  await page.getByTestId("used-requests").waitFor();
  await page.close();
});
