import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startServer } from "../e2e/harness.ts";
import { accessibilityFaults } from "./basics.ts";
import { launchBrowser } from "./launch.ts";
import { figure, openTab, signIn } from "./tab.ts";
import { soon, World } from "./world.ts";

const FLIGHTS = 49_116;
const HOUR = 3_600_000;

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

it("offers the demo only to those who may run it", async () => {
  const { token } = await world.mint([{ capability: "streams", name: "*", rights: ["write"] }]);
  const { page, close } = await openTab(browser, world.url);
  await signIn(page, token);
  await page.getByTestId("empty").waitFor();
  // There is no topic yet, and this token may not create it.
  expect(await page.getByRole("button", { name: "Run the demo" }).count()).toBe(0);
  await world.createFlights();
  await page.getByRole("button", { name: "Run the demo" }).waitFor({ timeout: 60_000 });
  await close();
  await world.call("DELETE", "/v1/topics/flights");

  const reader = await world.mint([{ capability: "streams", name: "*", rights: ["read"] }]);
  const other = await openTab(browser, world.url);
  await signIn(other.page, reader.token);
  await other.page.getByTestId("empty").waitFor();
  expect(await other.page.getByRole("button", { name: "Run the demo" }).count()).toBe(0);
  await other.close();
});

it("sends every flight once from the browser, through a pause, a reload and a killed server, and maps them", async () => {
  const { page, complaints, close } = await openTab(browser, world.url);
  await signIn(page, world.key);
  const words = page.getByTestId("demo");
  const acknowledged = async () => Number.parseInt(((await words.textContent()) ?? "").replace(/^\D*/, "").replaceAll(",", ""), 10) || 0;
  await page.getByLabel("Speed").selectOption("2,000 a second");
  await page.getByRole("button", { name: "Run the demo" }).click();
  await soon("some flights", async () => (await acknowledged()) >= 2000);

  await page.getByRole("button", { name: "Pause" }).click();
  await words.getByText(/^Paused at /).waitFor();
  const paused = await acknowledged();
  await page.reload();
  await words.getByText(/^Paused at /).waitFor();
  expect(await acknowledged()).toBe(paused);
  await page.getByLabel("Speed").selectOption("as fast as it goes");
  await page.getByRole("button", { name: "Go on" }).click();
  await soon("more flights", async () => (await acknowledged()) > paused + 2000);
  // Slowly, so that it is under way still when the server is killed.
  await page.getByLabel("Speed").selectOption("2,000 a second");
  expect(complaints).toEqual([]);

  // Reloaded under way, it goes on by itself; a server that is gone for a while costs nothing.
  await page.reload();
  await page.getByRole("button", { name: "Pause" }).waitFor();
  await world.server.kill();
  await page.getByRole("region", { name: "Demo" }).getByText("nothing is lost or sent twice").waitFor({ timeout: 60_000 });
  world.server = await world.server.restart();
  await page.getByLabel("Speed").selectOption("as fast as it goes");
  await words.getByText(`All ${FLIGHTS.toLocaleString("en")} are acknowledged`).waitFor({ timeout: 120_000 });
  expect(await world.api.size("flights")).toBe(FLIGHTS);
  await soon("all of them in the table", async () => (await figure(page, "applied")) === FLIGHTS);

  // The map says, and draws, what the table has of an hour: the last full one, until another is chosen.
  const { rows } = await world.api.rows("delays", { limit: 1000 });
  const map = page.getByTestId("map");
  const slider = page.getByRole("slider", { name: "Hour", exact: true });
  await slider.focus();
  await page.keyboard.press("ArrowLeft");
  const hour = Number(await slider.inputValue());
  const there = rows.filter(({ window }) => window.start === hour);
  expect(there.length).toBeGreaterThan(0);
  expect(Number(await slider.getAttribute("max")) - hour).toBe(2 * HOUR);
  const flights = there.reduce((total, { value }) => total + value.count, 0);
  const said = `${flights.toLocaleString("en")} flight${flights === 1 ? "" : "s"} from ${there.length} airport${there.length === 1 ? "" : "s"}`;
  await soon("the hour in words", async () => ((await map.getAttribute("aria-label")) ?? "").includes(said));
  expect(await map.locator("circle:not(.spot-none)").count()).toBe(there.length);
  expect(await accessibilityFaults(page)).toEqual([]);
  await close();
});
