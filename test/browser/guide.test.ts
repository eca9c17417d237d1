import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startServer } from "../e2e/harness.ts";
import { violations } from "./axe.ts";
import { launchBrowser } from "./launch.ts";
import { openTab } from "./tab.ts";
import { soon, World } from "./world.ts";

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

const focused = "document.activeElement?.getAttribute('href') ?? document.activeElement?.tagName";

it("is searched by keyboard alone: opened, asked, walked through, followed, closed", async () => {
  const { page, complaints, close } = await openTab(browser, `${world.url}/guide/streams`);
  const dialog = page.getByRole("dialog", { name: "Search the guide" });
  const hits = dialog.getByRole("list", { name: "Found" }).getByRole("link");
  await page.getByRole("button", { name: "Search" }).waitFor();
  await page.keyboard.press("/");
  await dialog.waitFor();
  await page.keyboard.type("closeonidle");
  await soon("what the guide says of it", async () => (await hits.count()) > 0);
  expect(await dialog.getByRole("status").textContent()).toMatch(/^\d+ places?$/);
  expect(await hits.first().locator("mark").count()).toBeGreaterThan(0);
  expect(await violations(page)).toEqual([]);

  const first = await hits.first().getAttribute("href");
  await page.keyboard.press("ArrowDown");
  expect(await page.evaluate(focused)).toBe(first);
  await page.keyboard.press("ArrowUp");
  expect(await page.evaluate(focused)).toBe("INPUT");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(`**${first}`);
  await page.getByRole("heading", { level: 1 }).waitFor();

  // Enter in the field follows the first; a hit on the page that is open closes the dialog.
  await page.keyboard.press("Control+k");
  await page.keyboard.type("too_large");
  await soon("the error's own place", async () => (await hits.first().getAttribute("href")) === "/docs/errors#too_large");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/docs/errors#too_large");
  await page.goBack();
  await page.keyboard.press("/");
  await page.keyboard.type("xylophone");
  await dialog.getByText("Nothing found.").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  expect(complaints).toEqual([]);
  await close();
});

it("says that the index is not there, and finds it the next time", async () => {
  const { page, close } = await openTab(browser, `${world.url}/guide/`);
  await page.route("**/guide/search.json", (route) => route.abort(), { times: 1 });
  await page.getByRole("button", { name: "Search" }).click();
  const dialog = page.getByRole("dialog", { name: "Search the guide" });
  await dialog.getByText(/^The index could not be loaded/).waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Search" }).click();
  await page.keyboard.type("quickstart");
  await dialog.getByRole("link").first().waitFor();
  await close();
});
