import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readSite } from "../../scripts/guide/site.ts";
import { startServer } from "../e2e/harness.ts";
import { colourViolations, violations } from "./axe.ts";
import { accessibilityFaults } from "./basics.ts";
import { launchBrowser } from "./launch.ts";
import { PLACES, visit } from "./places.ts";
import { open, openTab, signIn, type Tab } from "./tab.ts";
import { soon, World } from "./world.ts";

const GUIDE = readSite(fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "")).pages.map(({ url }) => url);

let world: World;
let browser: Browser;

beforeAll(async () => {
  const [server, launched] = await Promise.all([startServer(), launchBrowser()]);
  world = new World(server);
  browser = launched;
});

afterAll(async () => {
  await browser?.close();
  await world?.server.close();
});

/** What a page must be, whatever it shows, in the light and in the dark. Gathered, so that one run tells of every page. */
async function look({ page, complaints }: Tab, name: string, found: string[]): Promise<void> {
  await paint(page, "light");
  const light = await violations(page);
  await paint(page, "dark");
  const dark = await colourViolations(page);
  found.push(...[...light, ...dark.map((fault) => `in the dark, ${fault}`), ...complaints.splice(0)].map((fault) => `${name}: ${fault}`));
}

/** Another theme, and its colours there: some of them pass over into each other. */
async function paint(page: Page, colorScheme: "light" | "dark"): Promise<void> {
  await page.emulateMedia({ colorScheme });
  await page.evaluate(async () => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const ending = document.getAnimations().filter((each) => each.effect?.getComputedTiming().endTime !== Number.POSITIVE_INFINITY);
    for (const each of ending) each.finish();
  });
}

const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
/** What is not there, or not granted, is asked for and answered so: the browser notes that as an error of its own. */
const answered = (status: number) => (complaint: string) => !complaint.includes(`status of ${status}`);

/** Every page of the console in one tab; each must fit its width, and ask no other host. */
async function walk(options: BrowserContextOptions, data: "full" | "empty"): Promise<string[]> {
  const tab = await openTab(browser, world.url, options, world.key);
  const found: string[] = [];
  // The desk comes last: opening it makes a room.
  const places = [...PLACES].sort((a, b) => Number(a.path === "flight-desk") - Number(b.path === "flight-desk"));
  for (const place of places) {
    if (data === "empty" && place.empty === null) continue;
    await visit(tab.page, place, data);
    if (data === "empty") tab.complaints.splice(0, tab.complaints.length, ...tab.complaints.filter(answered(404)));
    await look(tab, `#/${place.path}`, found);
    const wide = await tab.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) found.push(`#/${place.path}: ${wide} pixels wider than the screen`);
  }
  expect([...tab.asked]).toEqual([new URL(world.url).host]);
  await tab.close();
  return found;
}

it("no page is forgotten: those that the navigation names are those that are looked at", async () => {
  const tab = await openTab(browser, world.url, {}, world.key);
  const links = tab.page.getByRole("navigation", { name: "Pages" }).locator('a[href^="#/"]');
  await links.first().waitFor();
  const named = await links.evaluateAll((all) => all.map((link) => link.getAttribute("href")!.slice(2)));
  const looked = PLACES.map(({ path }) => path).filter((path) => !path.includes("/"));
  expect([...named].sort()).toEqual([...looked].sort());
  await tab.close();
});

it("the sign-in is sound, with and without a complaint", async () => {
  const tab = await openTab(browser, world.url);
  const found: string[] = [];
  await tab.page.getByLabel("Admin key or token").waitFor();
  await look(tab, "sign-in", found);
  await tab.page.getByLabel("Admin key or token").fill("not-the-key");
  await tab.page.keyboard.press("Enter");
  await tab.page.getByRole("alert").waitFor();
  expect(tab.complaints.splice(0).filter(answered(401))).toEqual([]);
  await look(tab, "sign-in, refused", found);
  expect(found).toEqual([]);
  await tab.close();
});

it("every page is sound on a fresh deployment, without data", async () => {
  expect(await walk({}, "empty")).toEqual([]);
});

it("has data from here on", async () => {
  await world.createFlights();
  await world.send();
  await world.api.untilApplied("flight-desk");
  await world.mint([{ capability: "rooms", name: "team-*", rights: ["read", "write"] }]);
  await world.makeGroup("desk");
  await soon("a room with a board", async () => (await world.api.doc("flight-desk"))?.board !== undefined, 30_000);
});

it("every page is sound with data", async () => {
  expect(await walk({}, "full")).toEqual([]);
});

it("every page is sound on a phone", async () => {
  expect(await walk(PHONE, "full")).toEqual([]);
});

it("on a phone the pages are behind a button, which says where one is", async () => {
  const tab = await openTab(browser, world.url, PHONE, world.key);
  const { page } = tab;
  await page.getByRole("button", { name: "Pages: Overview" }).click();
  const found: string[] = [];
  await look(tab, "the list of pages", found);
  expect(found).toEqual([]);
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Streams" }).click();
  await page.getByRole("heading", { name: "Streams", level: 1 }).waitFor();
  expect(await page.getByRole("button", { name: "Pages: Streams" }).isVisible()).toBe(true);
  expect(await page.getByRole("link", { name: "Tokens" }).isVisible()).toBe(false);
  await tab.close();
});

it("every page is sound for a token that may see almost nothing", async () => {
  const { token } = await world.mint([{ capability: "groups", name: "none", rights: ["read"] }]);
  const tab = await openTab(browser, world.url);
  await signIn(tab.page, token, "", "Overview");
  const found: string[] = [];
  for (const { path, heading } of PLACES) {
    await open(tab.page, path, heading);
    await tab.page
      .getByRole("main")
      .getByText(/does not grant|Only the admin key may/)
      .first()
      .waitFor();
    // A socket that was not opened is all that a browser tells of a refused one.
    const complaints = tab.complaints.splice(0).filter(answered(403));
    expect(complaints.filter((complaint) => !complaint.includes("WebSocket connection to"))).toEqual([]);
    await look(tab, `#/${path}`, found);
    tab.complaints.splice(0);
  }
  expect(found.filter((fault) => !fault.includes("WebSocket connection to") && answered(403)(fault))).toEqual([]);
  await tab.close();
});

it("the reference and the list of errors are sound, opened too", async () => {
  const tab = await openTab(browser, `${world.url}/docs`);
  const { page } = tab;
  const found: string[] = [];
  const operation = (name: RegExp) => page.getByRole("button", { name }).first();
  await operation(/^GET\s*\/healthz/).waitFor();
  // The address opens what it names, and what is opened becomes the address.
  await operation(/^GET\s*\/healthz/).click();
  await page.getByRole("button", { name: "Execute" }).click();
  await page.locator(".live-responses-table").first().waitFor();
  expect(new URL(page.url()).hash).toMatch(/^#\/platform\//);
  await look(tab, "/docs", found);
  await page.goto(`${world.url}/docs/errors`);
  await look(tab, "/docs/errors", found);
  expect(await accessibilityFaults(page)).toEqual([]);
  expect(found).toEqual([]);
  expect([...tab.asked]).toEqual([new URL(world.url).host]);
  await tab.close();
});

it("every page of the guide is sound", async () => {
  expect(GUIDE.length).toBeGreaterThan(25);
  const tab = await openTab(browser, `${world.url}/guide/`);
  const found: string[] = [];
  for (const url of GUIDE) {
    const response = await tab.page.goto(world.url + url);
    expect(response?.headers()["content-security-policy"]).toMatch(/script-src 'self'(?: 'wasm-unsafe-eval')?;.* connect-src 'self';/);
    await look(tab, url, found);
  }
  expect(found).toEqual([]);
  expect([...tab.asked]).toEqual([new URL(world.url).host]);
  await tab.close();
});
