import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServer } from "../e2e/harness.ts";
import { accessibilityFaults } from "./basics.ts";
import { launchBrowser } from "./launch.ts";
import { figure, openTab, signIn, type Tab } from "./tab.ts";
import { FLIGHT_SAMPLE, soon, World } from "./world.ts";

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

/** A tab on one page, signed in by the admin key or by a token. */
async function on(path: string, heading: string, credential = world.key): Promise<Tab> {
  const tab = await openTab(browser, world.url);
  await signIn(tab.page, credential, path, heading);
  return tab;
}

/** What must hold of every page, whatever it shows: it can be heard and read, fits a phone, and complains of nothing. */
async function isSound({ page, complaints, close }: Tab): Promise<void> {
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.setViewportSize({ width: 390, height: 844 });
  await soon("a page that fits a phone", () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 3000);
  expect(complaints).toEqual([]);
  await close();
}

describe("the overview", () => {
  it("says how to begin on a fresh deployment, and draws its topologies", async () => {
    const tab = await on("", "Overview");
    await tab.page.getByTestId("fresh").waitFor();
    const flow = tab.page.getByTestId("flow");
    await flow.getByRole("link", { name: /Topic flights not created yet/ }).waitFor();
    await flow.getByRole("link", { name: /Topology flight-desk 4 tasks/ }).waitFor();
    await isSound(tab);
  });

  it("shows rates while records arrive and the interface's counts after, each object a link", async () => {
    const tab = await on("", "Overview");
    const { page } = tab;
    await world.createFlights();
    const sending = world.send(FLIGHT_SAMPLE.length, 60);
    await soon("a rate above zero", async () => (await figure(page, "records-rate")) > 0, 30_000);
    await page.locator(".edge-moves").first().waitFor({ state: "attached" });
    await sending;
    const flow = page.getByTestId("flow");
    await flow.getByRole("link", { name: new RegExp(`Topic flights ${FLIGHT_SAMPLE.length.toLocaleString("en")} records`) }).waitFor();
    await flow.getByRole("link", { name: /Room flight-desk 0 connections/ }).waitFor({ timeout: 30_000 });
    const { late } = (await world.api.rows("delays", { limit: 1000 })).partitions.reduce((a, b) => ({ ...a, late: a.late + b.late }));
    await soon("the late records", async () => (await figure(page, "aside")) === late, 30_000);
    await soon("no lag", async () => (await figure(page, "lag")) === 0);
    await soon("a cost", async () => /^\$0\.0+[1-9]/.test((await page.getByTestId("cost").textContent()) ?? ""), 20_000);
    await isSound(tab);
  });

  it("says what a token may not see, panel by panel", async () => {
    const { token } = await world.mint([{ capability: "rooms", name: "*", rights: ["read"] }]);
    const tab = await on("", "Overview", token);
    await tab.page.getByRole("region", { name: "What flows where" }).getByText('The token does not grant "read" on streams "*".').waitFor();
    await tab.page.getByRole("region", { name: "Rooms" }).getByRole("link", { name: "flight-desk" }).waitFor();
    await tab.close();
  });
});
