import { gzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startServer } from "../e2e/harness.ts";
import { accessibilityFaults, focusOrder } from "./basics.ts";
import { launchBrowser } from "./launch.ts";
import { open, openTab, signIn } from "./tab.ts";
import { soon, World } from "./world.ts";

let world: World;
let browser: Browser;

beforeAll(async () => {
  const [server, launched] = await Promise.all([startServer(), launchBrowser()]);
  world = new World(server);
  browser = launched;
  await world.createFlights();
  await world.send();
});

afterAll(async () => {
  await browser?.close();
  await world?.server.close();
});

it.each(["light", "dark"] as const)("can be heard, read and used by keyboard (%s)", async (colorScheme) => {
  const { page, complaints, close } = await openTab(browser, world.url, { colorScheme });
  await signIn(page, world.key);
  await page.getByTestId("delay-chart").waitFor();
  await page.getByRole("region", { name: "Shared note" }).scrollIntoViewIfNeeded();
  await page.getByRole("textbox", { name: "Shared note" }).waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);

  const order = await focusOrder(page);
  expect(order.slice(0, 4)).toEqual(["Skip to the content", "Skerry", "Overview", "Flight desk"]);
  const stations = [
    "Connections: Live",
    "Mean delay",
    /: the hour read out$/,
    /draw in the chart$/,
    "Unusual flights, newest first",
    "Your name",
    "Shared note",
  ];
  const places = stations.map((station) =>
    order.findIndex((name) => (typeof station === "string" ? name.startsWith(station) : station.test(name))),
  );
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(places).not.toContain(-1);
  expect(order.filter((name) => name === "" || name.startsWith("invisible"))).toEqual([]);

  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await background();
  await page.getByRole("button", { name: /^Switch to the/ }).click();
  expect(await background()).not.toBe(before);
  await page.reload();
  await page.getByRole("heading", { level: 1 }).waitFor();
  expect(await background()).not.toBe(before);
  expect(complaints).toEqual([]);
  await close();
});

it("fits a phone", async () => {
  const { page, complaints, close } = await openTab(browser, world.url, {
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
  });
  const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(await overflow()).toBeLessThanOrEqual(0);
  await signIn(page, world.key);
  await page.getByTestId("delay-chart").waitFor();
  expect(await overflow()).toBeLessThanOrEqual(0);
  const outside = await page.evaluate(
    () => Array.from(document.querySelectorAll(".panel")).filter((panel) => panel.getBoundingClientRect().right > innerWidth).length,
  );
  expect(outside).toBe(0);
  expect(complaints).toEqual([]);
  await close();
});

it("is there in under a second, with less than 250 KB of script before the editor", async () => {
  const { page, close } = await openTab(browser, world.url);
  const firstView = () =>
    page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          const observer = new PerformanceObserver((list) => resolve(list.getEntriesByName("first-contentful-paint")[0]!.startTime));
          observer.observe({ type: "paint", buffered: true });
        }),
    );
  // The fastest of several: the machine may be busy with other things.
  const views = [await firstView()];
  while (Math.min(...views) >= 1000 && views.length < 30) {
    await page.reload();
    views.push(await firstView());
  }
  expect(Math.min(...views)).toBeLessThan(1000);

  await signIn(page, world.key);
  await page.getByTestId("delay-chart").waitFor();
  const loaded = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
  const scripts = loaded.filter((url) => url.endsWith(".js") && !url.includes("/editor-"));
  expect(scripts.length).toBeGreaterThanOrEqual(3);
  const sizes = await Promise.all(scripts.map(async (url) => gzipSync(await (await page.request.get(url)).body()).length));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(250_000);

  // What the server sends lets no script run but files of its own.
  const policy = (await page.request.get(world.url)).headers()["content-security-policy"] ?? "";
  expect(policy).toMatch(/script-src 'self'(?! 'unsafe-inline')/);
  await close();
});

it("says loudly what anyone may do without a token", async () => {
  const grants = [{ capability: "rooms", name: "flight-*", rights: ["read"] }];
  world.server = await world.server.restart({ env: { SKERRY_ANONYMOUS_GRANTS: JSON.stringify(grants) } });
  const { page, close } = await openTab(browser, world.url);
  const banner = page.getByRole("alert").filter({ hasText: "without a token" });
  expect(await banner.textContent()).toContain("read on rooms flight-*");
  await page.getByRole("button", { name: "Go on without a token" }).click();
  await open(page, "flight-desk", "Flight desk");
  expect(await banner.isVisible()).toBe(true);
  await page.getByText("You may read this note, not change it.").waitFor();
  await soon("the board, which is public", async () => (await page.getByTestId("board").locator("tbody tr").count()) > 0);
  expect(
    await page
      .getByRole("main")
      .getByText(/This needs a token/)
      .first()
      .isVisible(),
  ).toBe(true);
  await close();
});
