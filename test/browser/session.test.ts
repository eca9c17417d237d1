import type { Browser, Page, WebSocket } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startServer } from "../e2e/harness.ts";
import { violations } from "./axe.ts";
import { launchBrowser } from "./launch.ts";
import { openTab, signIn } from "./tab.ts";
import { soon, World } from "./world.ts";

const EVERYTHING = [{ capability: "*", name: "*", rights: ["read", "write"] }];
const MINUTE = 60_000;
const HOUR = 3_600;

let world: World;
let browser: Browser;

beforeAll(async () => {
  const [server, launched] = await Promise.all([startServer(), launchBrowser()]);
  world = new World(server);
  browser = launched;
  await world.createFlights();
  await world.send(40);
});

afterAll(async () => {
  await browser?.close();
  await world?.server.close();
});

const kept = (page: Page) => page.evaluate(() => sessionStorage.getItem("skerry.credential"));
const banner = (page: Page) => page.getByRole("region", { name: "The session ends" });

it("outlives its token: the successor is taken in time, and open sockets go on with it", async () => {
  // In real time, to its real end.
  const seconds = 24;
  const { token } = await world.mint(EVERYTHING, { expiresIn: seconds, maxLifetime: HOUR });
  const end = Date.now() + seconds * 1000;
  const { page, complaints, close } = await openTab(browser, world.url);
  const sockets = new Map<string, { socket: WebSocket; successors: number }>();
  page.on("websocket", (socket) => {
    const known = { socket, successors: 0 };
    sockets.set(new URL(socket.url()).pathname, known);
    socket.on("framesent", ({ payload }) => {
      // The frames that carry a token: of the wire (core/wire), and of rooms (core/crdt: extension 120, refresh 16).
      const isToken = typeof payload === "string" ? JSON.parse(payload).type === "token" : payload[0] === 120 && payload[1] === 16;
      if (isToken) known.successors++;
    });
  });
  await signIn(page, token);
  await page.getByRole("button", { name: "Connections: Live" }).waitFor();
  await page.getByRole("region", { name: "Shared note" }).scrollIntoViewIfNeeded();
  const note = page.getByRole("textbox", { name: "Shared note" });
  await note.waitFor();

  await soon("a successor in the tab", async () => (await kept(page)) !== token, seconds * 1000);
  expect((await kept(page))!.split(".")).toHaveLength(3);
  await soon("the first token's end", async () => Date.now() > end + 1500, seconds * 1000);
  await expect(world.call("GET", "/v1/session", undefined, token)).rejects.toThrow(/401/);

  expect([...sockets.keys()].sort()).toEqual(["/v1/rooms/flight-desk", "/v1/tables/delays/live"]);
  for (const [path, { socket, successors }] of sockets) {
    expect(successors, path).toBeGreaterThan(0);
    expect(socket.isClosed(), path).toBe(false);
  }
  await note.click();
  await page.keyboard.type("Written under the successor.");
  await soon("the words in the room", async () => ((await world.room()).notes ?? "").includes("Written under the successor."));
  await page.getByText("Saved", { exact: true }).waitFor();
  expect(await page.getByRole("button", { name: "Connections: Live" }).isVisible()).toBe(true);
  expect(await banner(page).count()).toBe(0);
  expect(complaints).toEqual([]);
  await close();
});

it("says that it ends where it cannot be refreshed, before it does, and takes another token in its place", async () => {
  const { token } = await world.mint(EVERYTHING, { expiresIn: HOUR, maxLifetime: HOUR });
  const { page, complaints, close } = await openTab(browser, world.url);
  await page.clock.install();
  await signIn(page, token, "streams", "Streams");
  // At seven tenths it is asked for, and refused for good; there is time yet.
  const asked = page.waitForResponse((response) => response.url().endsWith("/v1/tokens/refresh"));
  await page.clock.fastForward(43 * MINUTE);
  expect((await asked).status()).toBe(401);
  expect(await banner(page).count()).toBe(0);
  await page.clock.fastForward(8 * MINUTE);
  await banner(page)
    .getByText(/^This session ends at \d\d:\d\d: the token has reached its longest lifetime/)
    .waitFor();
  expect(await violations(page)).toEqual([]);

  await banner(page).getByRole("button", { name: "Go on with it" }).click();
  await banner(page).getByText("Paste another key or token first.").waitFor();
  await banner(page).getByLabel("Another key or token").fill("not-a-token");
  await page.keyboard.press("Enter");
  await banner(page)
    .getByText(/neither the admin key/)
    .waitFor();
  // The page's clock is an hour ahead by now.
  const next = await world.mint(EVERYTHING, { expiresIn: 10 * HOUR });
  await banner(page).getByLabel("Another key or token").fill(next.token);
  await page.keyboard.press("Enter");
  await soon("no banner", async () => (await banner(page).count()) === 0);
  expect(await kept(page)).toBe(next.token);
  await page.getByRole("heading", { name: "Streams", level: 1 }).waitFor();
  expect(complaints.filter((complaint) => !complaint.includes("status of 401"))).toEqual([]);
  await close();
});

it("says so too while the server does not answer, and is refreshed when it does", async () => {
  const { token } = await world.mint(EVERYTHING, { expiresIn: HOUR, maxLifetime: 10 * HOUR });
  const { page, close } = await openTab(browser, world.url);
  await page.clock.install();
  await signIn(page, token, "usage", "Usage");
  await world.server.kill();
  await page.clock.fastForward(43 * MINUTE);
  await page.clock.fastForward(8 * MINUTE);
  await banner(page).getByText("the server has not given a successor of the token yet. Trying again.").waitFor({ timeout: 60_000 });
  expect(await kept(page)).toBe(token);
  world.server = await world.server.restart();
  await soon("a successor", async () => (await kept(page)) !== token, 60_000);
  await soon("no banner", async () => (await banner(page).count()) === 0);
  await page.getByRole("button", { name: "Connections: Live" }).waitFor({ timeout: 30_000 });
  await close();
});

it("ends with its token, and says why", async () => {
  const { token } = await world.mint(EVERYTHING, { expiresIn: 15, maxLifetime: 15 });
  const { page, close } = await openTab(browser, world.url);
  await signIn(page, token, "rooms", "Rooms");
  await banner(page).waitFor({ timeout: 30_000 });
  await page.getByLabel("Admin key or token").waitFor({ timeout: 30_000 });
  expect(await page.getByRole("alert").textContent()).toMatch(/expired/);
  expect(await kept(page)).toBeNull();
  await close();
});
