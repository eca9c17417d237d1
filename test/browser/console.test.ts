import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FLIGHTS } from "../../scripts/demo/api.ts";
import { startServer } from "../e2e/harness.ts";
import { accessibilityFaults } from "./basics.ts";
import { launchBrowser } from "./launch.ts";
import { figure, openTab, signIn } from "./tab.ts";
import { FLIGHT_SAMPLE, soon, World } from "./world.ts";

/** The afternoon is kept back for the test in which records arrive after a restart. */
const MORNING = Math.floor(FLIGHT_SAMPLE.length * 0.7);

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

describe("signing in", () => {
  it("refuses a wrong key with the server's sentence, and keeps the right one for the tab only", async () => {
    const { page, complaints, close } = await openTab(browser, world.url);
    await page.getByLabel("Admin key or token").waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.getByLabel("Admin key or token").fill("not-the-key");
    await page.keyboard.press("Enter");
    const problem = page.getByRole("alert");
    await problem.waitFor();
    expect(await problem.textContent()).toBe("The credential is neither the admin key of this deployment nor a token of it.");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("credential");
    // The refused request is all that the browser itself complains of.
    expect(complaints.filter((text) => !text.includes("401"))).toEqual([]);

    await signIn(page, world.key);
    const kept = await page.evaluate(() => ({ tab: { ...sessionStorage }, browser: { ...localStorage }, cookies: document.cookie }));
    expect(Object.values(kept.tab)).toContain(world.key);
    expect(kept.browser).toEqual({});
    expect(kept.cookies).toBe("");
    await page.reload();
    await page.getByRole("heading", { name: "Flight desk", level: 1 }).waitFor();

    await page.getByRole("button", { name: "Signed in as admin" }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Admin key or token").waitFor();
    expect(await page.evaluate(() => Object.values(sessionStorage).join())).not.toContain(world.key);
    await close();
  });

  it("opens sockets by a token of minutes, not by the admin key, which would stand in their URLs", async () => {
    const { page, close } = await openTab(browser, world.url);
    const sockets: URL[] = [];
    page.on("websocket", (socket) => sockets.push(new URL(socket.url())));
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await signIn(page, world.key);
    const token = (path: string) => sockets.find(({ pathname }) => pathname === path)?.searchParams.get("token") ?? null;
    for (const path of ["/v1/rooms/flight-desk", "/v1/tables/delays/live"]) {
      await soon(`a socket of ${path}`, async () => token(path) !== null);
      expect(token(path)!.split(".")).toHaveLength(3);
    }
    const payload = JSON.parse(Buffer.from(token("/v1/rooms/flight-desk")!.split(".")[1]!, "base64url").toString());
    expect(payload.exp - payload.iat).toBeLessThanOrEqual(600);
    expect([...sockets.map(String), ...asked].filter((url) => url.includes(world.key))).toEqual([]);
    await close();
  });

  it("says in each panel what a token may not see, and ends the session of one that is revoked", async () => {
    const { token, id } = await world.mint([{ capability: "streams", name: "*", rights: ["read"] }]);
    const { page, close } = await openTab(browser, world.url);
    await signIn(page, token);
    const board = page.getByRole("region", { name: "Board" });
    await board.getByText('The token does not grant "read" on rooms "flight-desk".').waitFor();
    await page.getByRole("button", { name: "Connections: Refused" }).waitFor();
    expect(await page.getByTestId("empty").isVisible()).toBe(true);

    await world.call("DELETE", `/v1/tokens/${id}`);
    await page.getByLabel("Admin key or token").waitFor({ timeout: 60_000 });
    expect(await page.getByRole("alert").textContent()).toMatch(/revoked/);
    await close();
  });
});

describe("the flight desk", () => {
  it("explains the demo while there are no flights", async () => {
    const { page, complaints, close } = await openTab(browser, world.url);
    await signIn(page, world.key);
    await page.getByTestId("empty").waitFor();
    expect(await page.getByTestId("empty").textContent()).toContain(`npm run demo -- --url ${world.url}`);
    await page.waitForTimeout(1500);
    expect(complaints).toEqual([]);
    await close();
  });

  it("shows rates, windows, unusual flights and the board as records arrive, with the numbers of the interface", async () => {
    const { page, complaints, close } = await openTab(browser, world.url);
    await signIn(page, world.key);
    await page.getByTestId("empty").waitFor();
    await world.createFlights();
    const sending = world.send(MORNING, 100);
    await soon("a rate above zero", async () => (await figure(page, "rate")) > 0);
    await sending;

    await soon("every record applied", async () => (await figure(page, "applied")) === MORNING);
    await soon("every record appended", async () => (await figure(page, "appended")) === MORNING);
    await soon("no lag", async () => (await figure(page, "lag")) === 0);
    const { rows, partitions } = await world.api.rows("delays", { limit: 1000 });
    await soon("all windows", async () => (await figure(page, "windows")) === rows.length);
    await soon("the late records", async () => (await figure(page, "late")) === partitions.reduce((sum, { late }) => sum + late, 0));

    // The chart is read by ear: the last hour, then an hour back.
    const chart = page.getByTestId("delay-chart");
    const said = async () => (await chart.getAttribute("aria-valuetext")) ?? "";
    await soon("a chart that says its last hour", async () => /\d flights?, (final|open)/.test(await said()));
    const now = await said();
    await chart.focus();
    await page.keyboard.press("Home");
    await soon("another hour read out", async () => (await said()) !== now);
    expect(await said()).toContain("final");
    const hour = Date.parse(`${/^(.*?),/.exec(await said())![1]} 2001 ${/, (\d\d:\d\d)\./.exec(await said())![1]}Z`);
    const shown = /(\w{3}): (−?[\d.]+) min over (\d+) flights?/.exec(await said())!;
    const row = rows.find(({ key, window }) => key === shown[1] && window.start === hour)!;
    expect({ mean: shown[2]!.replace("−", "-"), count: Number(shown[3]) }).toEqual({
      mean: row.value.mean.toFixed(1),
      count: row.value.count,
    });

    // It is drawn as well: in the colours of its lines, and open windows otherwise than final ones.
    expect(await coloursIn(page, ".delays canvas")).toBeGreaterThan(8);
    expect(await coloursIn(page, ".heat canvas")).toBeGreaterThan(8);
    expect(await page.locator(".tile", { hasText: "Windows" }).textContent()).toMatch(/[1-9]\d* final, [1-9]\d* open/);

    // Outputs may still be on their way to the topic and to the room: page and interface agree in the end.
    const list = page.getByTestId("unusual-list").locator("tbody tr");
    await soon("the unusual flights, the newest first", async () => {
      const { records } = await world.api.read("unusual", 0).catch(() => ({ records: [] }));
      const newest = records.at(-1);
      if (newest === undefined || (await figure(page, "unusual")) !== records.length) return false;
      const first = (await list.first().textContent()) ?? "";
      return first.includes(newest.origin) && first.includes(newest.destination) && /0\.\d\d/.test(first);
    });

    const board = page.getByTestId("board").locator("tbody tr");
    await soon("the board of the room", async () => {
      const doc = await world.room();
      const lines = await board.allTextContents();
      return lines.length > 0 && lines.length === Object.keys(doc.board).length && lines[0]!.includes(doc.board["01"]!.airport);
    });
    expect(await page.getByTestId("tasks").locator("tbody tr").count()).toBe(FLIGHTS.partitions);

    expect(await page.getByRole("button", { name: "Connections: Live" }).isVisible()).toBe(true);
    expect(complaints).toEqual([]);
    await close();
  });

  it("draws another measure and other airports on request", async () => {
    const { page, complaints, close } = await openTab(browser, world.url);
    await signIn(page, world.key);
    const chart = page.getByTestId("delay-chart");
    await chart.waitFor();
    const before = (await chart.getAttribute("aria-label"))!;
    await page.getByRole("radio", { name: "Over 15 min" }).check({ force: true });
    await soon("shares read out", async () => / \d+ %/.test((await chart.getAttribute("aria-valuetext")) ?? ""));
    const removed = /of (\w+)/.exec(before)![1]!;
    await page.getByRole("button", { name: `Remove ${removed}` }).click();
    await soon("one airport less", async () => !(await chart.getAttribute("aria-label"))!.includes(removed));
    await page.getByRole("combobox", { name: "Add an airport" }).fill(removed);
    await soon("the airport back", async () => (await chart.getAttribute("aria-label"))!.includes(removed));
    await page.getByRole("button", { name: new RegExp(`^${removed}, .*draw in the chart`) }).click();
    await soon("removed by the map", async () => !(await chart.getAttribute("aria-label"))!.includes(removed));
    expect(complaints).toEqual([]);
    await close();
  });

  it("lets two people write one note and see each other's names and cursors", async () => {
    const [ann, ben] = await Promise.all([openTab(browser, world.url), openTab(browser, world.url, { colorScheme: "dark" })]);
    for (const [tab, name] of [
      [ann, "Ann"],
      [ben, "Ben"],
    ] as const) {
      await signIn(tab.page, world.key);
      await tab.page.getByLabel("Your name").fill(name);
      await tab.page.keyboard.press("Enter");
      await tab.page.getByRole("region", { name: "Shared note" }).scrollIntoViewIfNeeded();
      await tab.page.getByRole("textbox", { name: "Shared note" }).waitFor();
    }
    await ann.page.getByRole("textbox", { name: "Shared note" }).click();
    await ann.page.keyboard.type("ORD is iced in.");
    const note = ben.page.getByRole("textbox", { name: "Shared note" });
    await soon("the note at the other's", async () => ((await note.textContent()) ?? "").includes("ORD is iced in."));
    await ben.page.locator(".cm-ySelectionInfo", { hasText: "Ann" }).waitFor();
    expect(await ben.page.getByTestId("others").textContent()).toContain("Ann");
    expect(await ann.page.getByTestId("others").textContent()).toContain("Ben");
    await ann.page.getByText("Saved", { exact: true }).waitFor();

    await note.click();
    await ben.page.keyboard.press("Control+End");
    await ben.page.keyboard.type(" MIA too.");
    await soon("the answer", async () => ((await ann.page.locator(".cm-content").textContent()) ?? "").includes("MIA too."));
    await ben.close();
    await soon("the other gone", async () => !((await ann.page.getByTestId("others").textContent()) ?? "").includes("Ben"));
    expect([...ann.complaints, ...ben.complaints]).toEqual([]);
    await ann.close();
  });

  it("recovers by itself when the server is killed and restarted, and loses nothing it called saved", async () => {
    const { page, close } = await openTab(browser, world.url);
    await signIn(page, world.key);
    const note = page.getByRole("textbox", { name: "Shared note" });
    await page.getByRole("region", { name: "Shared note" }).scrollIntoViewIfNeeded();
    await note.click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type(" Kept.");
    await page.getByText("Saved", { exact: true }).waitFor();

    await world.server.kill();
    await page.getByRole("button", { name: "Connections: Reconnecting" }).waitFor({ timeout: 60_000 });
    await page.keyboard.type(" Written without a server.");
    await page.getByText("Not connected: your changes are kept in this tab and not saved yet.").waitFor();

    world.server = await world.server.restart();
    await page.getByRole("button", { name: "Connections: Live" }).waitFor({ timeout: 60_000 });
    await page.getByText("Saved", { exact: true }).waitFor({ timeout: 60_000 });
    await world.send();
    await soon("what was sent after the restart", async () => (await figure(page, "applied")) === FLIGHT_SAMPLE.length);
    const { rows } = await world.api.rows("delays", { limit: 1000 });
    await soon("all windows", async () => (await figure(page, "windows")) === rows.length);
    const doc = await world.room();
    expect(doc.notes).toContain("ORD is iced in. MIA too. Kept. Written without a server.");
    await close();
  });
});

/** How many colours a canvas of the page shows: nothing drawn is one. */
function coloursIn(page: Page, selector: string): Promise<number> {
  return page.locator(selector).evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });
}
