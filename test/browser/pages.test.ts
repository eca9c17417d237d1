import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServer } from "../e2e/harness.ts";
import { accessibilityFaults } from "./basics.ts";
import { launchBrowser } from "./launch.ts";
import { figure, open, openTab, signIn, type Tab } from "./tab.ts";
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

/** The whole sample is in the topic and the table, whichever tests ran before. */
async function fed(): Promise<void> {
  await world.createFlights();
  await world.send();
  await world.api.untilApplied("flight-desk");
}

/** A tab on one page, signed in by the admin key or by a token. */
async function on(path: string, heading: string, credential = world.key): Promise<Tab> {
  const tab = await openTab(browser, world.url);
  await signIn(tab.page, credential, path, heading);
  return tab;
}

/**
 * What must hold of every page, whatever it shows: it can be heard and read, fits a phone, and complains of nothing. The
 * browser itself complains of requests that were answered by the `refused` statuses, which a test brought about.
 */
async function isSound({ page, complaints, close }: Tab, refused: readonly number[] = []): Promise<void> {
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.setViewportSize({ width: 390, height: 844 });
  await soon("a page that fits a phone", () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  expect(complaints.filter((text) => !refused.some((status) => text.includes(`status of ${status}`)))).toEqual([]);
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
    await soon("a rate above zero", async () => (await figure(page, "records-rate")) > 0);
    await page.locator(".edge-moves").first().waitFor({ state: "attached" });
    await sending;
    const flow = page.getByTestId("flow");
    await flow.getByRole("link", { name: new RegExp(`Topic flights ${FLIGHT_SAMPLE.length.toLocaleString("en")} records`) }).waitFor();
    await flow.getByRole("link", { name: /Room flight-desk 0 connections/ }).waitFor({ timeout: 60_000 });
    const { partitions } = await world.api.rows("delays", { limit: 1000 });
    const late = partitions.reduce((total, each) => total + each.late, 0);
    await soon("the late records", async () => (await figure(page, "aside")) === late);
    await soon("no lag", async () => (await figure(page, "lag")) === 0);
    await soon("a cost", async () => /^\$0\.0+[1-9]/.test((await page.getByTestId("cost").textContent()) ?? ""));
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

describe("the streams page", () => {
  beforeAll(fed);

  it("creates a topic, takes records by hand, shows them as they come, and deletes it", async () => {
    const tab = await on("streams", "Streams");
    const { page } = tab;
    await page.getByTestId("topics").getByRole("link", { name: "flights" }).waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.getByLabel("New topic").fill("readings");
    await page.getByLabel("Partitions", { exact: true }).fill("2");
    await page.getByLabel(/^Key/).fill("/sensor/id");
    await page.getByRole("button", { name: "Create the topic" }).click();
    await page.getByRole("heading", { name: "readings", level: 1 }).waitFor();

    const records = page.getByLabel("Records as JSON");
    await soon("an example with the key", async () => (await records.inputValue()).includes('"sensor"'));
    await records.fill("{ sensor");
    await page.getByRole("button", { name: "Append" }).click();
    await page
      .getByRole("alert")
      .getByText(/^This is not JSON/)
      .waitFor();
    await records.fill('[{"sensor": {"id": "a"}, "value": 1}, {"value": 2}]');
    await page.getByRole("button", { name: "Append" }).click();
    // The server's own sentence.
    await page
      .getByRole("alert")
      .getByText(/Record 1/)
      .waitFor();
    await records.fill('[{"sensor": {"id": "a"}, "value": 1}, {"sensor": {"id": "a"}, "value": 22}]');
    await page.getByRole("button", { name: "Append" }).click();
    await page.getByText("2 records appended: durable.").waitFor();
    const lines = page.getByTestId("tail").locator("tbody tr");
    await soon("both in the tail", async () => (await lines.count()) === 2);
    expect(await lines.first().textContent()).toContain('{"sensor":{"id":"a"},"value":22}');
    await world.call("POST", "/v1/stream/readings", [{ sensor: { id: "b" }, value: 333 }]);
    await page.getByTestId("tail").getByText('"value":333').waitFor();
    await page.getByText("Topic of 2 partitions, 3 records in all").waitFor();

    await page.getByRole("button", { name: "Delete the topic …" }).click();
    const dialog = page.getByRole("dialog", { name: "Delete the topic “readings”?" });
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await world.call("GET", "/v1/topics/readings");
    await page.getByRole("button", { name: "Delete the topic …" }).click();
    await dialog.getByRole("button", { name: "Delete the topic" }).click();
    await page.getByRole("heading", { name: "Streams", level: 1 }).waitFor();
    await expect(world.call("GET", "/v1/topics/readings")).rejects.toThrow(/404/);
    await isSound(tab, [400]);
  });

  it("answers a table's queries page by page, with the rows of the interface", async () => {
    const tab = await on("streams/tables/delays", "delays");
    const { page } = tab;
    const rows = page.getByTestId("table-rows").locator("tbody tr");
    const all = (await world.api.rows("delays", { limit: 1000 })).rows;
    await soon("a first page", async () => (await rows.count()) === Math.min(50, all.length));
    await page.getByRole("button", { name: "50 more" }).click();
    await soon("a second page", async () => (await rows.count()) === Math.min(100, all.length));
    const { key } = all[0]!;
    await page.getByLabel("Key", { exact: true }).fill(key);
    await page.getByLabel("Windows", { exact: true }).selectOption("true");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    const wanted = all.filter((row) => row.key === key && row.final);
    await soon("the rows of one key", async () => (await rows.count()) === wanted.length);
    expect(await rows.first().textContent()).toContain(`${key}${wanted[0]!.value.count}`);
    await page.getByLabel(/^Windows from/).fill("yesterday");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("from is neither Unix milliseconds nor an RFC 3339 time.").waitFor();
    await isSound(tab, [400]);
  });

  it("has words for the window of a table without windows", async () => {
    const tab = await on("streams/tables/board", "board");
    await tab.page.getByTestId("table-rows").locator("tbody tr", { hasText: "all time" }).first().waitFor();
    await isSound(tab);
  });

  it("says how far tasks are and what they set aside", async () => {
    const tab = await on("streams/topologies/flight-desk", "flight-desk");
    const { partitions } = await world.api.rows("delays", { limit: 1 });
    const late = partitions.reduce((total, each) => total + each.late, 0);
    await tab.page.getByTestId("late-delays").getByText(`: ${late} records`).waitFor();
    await tab.page.getByText("None: every record could be processed.").waitFor();
    await isSound(tab);
  });

  it("says what a topology reads, scores with and makes, and what of its topics nobody reads", async () => {
    const tab = await on("streams/topologies/flight-desk", "flight-desk");
    const { page } = tab;
    const links = page.getByLabel("What it reads and makes").getByRole("link");
    await links.first().waitFor();
    expect(await links.allTextContents()).toEqual(["flights", "flight-forest", "delays", "delays-changes", "unusual"]);
    expect(await page.getByTestId("unread").count()).toBe(0);
    // Such a topic is older than the topology; test/runtime/streams-topologies.test.ts has one, here the answer is changed on its way.
    await page.route("**/v1/topologies/flight-desk", async (route) => {
      const answered = await route.fetch();
      const unread = [4, 5].map((partition) => ({ topic: "flights", partition, head: 1200 }));
      const waiting = [{ sink: "1", to: "topic:unusual", code: "conflict", detail: "It is full." }];
      const { tasks, ...status } = await answered.json();
      await route.fulfill({ response: answered, json: { ...status, tasks: [{ ...tasks[0], waiting }, ...tasks.slice(1)], unread } });
    });
    await page
      .getByTestId("unread")
      .getByText(/^2 partitions of flights are not read\./)
      .waitFor();
    expect(await page.getByTestId("unread").textContent()).toContain("In partitions 4 to 5 lie 2,400 records");
    await page.getByLabel("What does not take its outputs").getByText("Partition 0 waits for topic:unusual: It is full.").waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    await open(page, "", "Overview");
    await page
      .getByTestId("flow")
      .getByRole("link", { name: /^Topology flight-desk .*2 partitions not read/ })
      .waitFor();
    await isSound(tab);
  });

  it("shows a page that broke as such, and the others as before", async () => {
    const tab = await on("streams/topologies/flight-desk", "flight-desk");
    const { page } = tab;
    await page.route("**/v1/topologies/flight-desk", (route) => route.fulfill({ json: { name: "flight-desk" } }), { times: 1 });
    await page
      .getByRole("alert")
      .getByText(/^This page broke: /)
      .waitFor();
    expect(tab.complaints.splice(0).length).toBeGreaterThan(0);
    await page.getByRole("button", { name: "Show it again" }).click();
    await page.getByTestId("tasks").locator("tbody tr").first().waitFor();
    await open(page, "rooms", "Rooms");
    await isSound(tab);
  });

  it("offers a reader no more than reading", async () => {
    const { token } = await world.mint([{ capability: "streams", name: "*", rights: ["read"] }]);
    const tab = await on("streams/topics/flights", "flights", token);
    await tab.page.getByTestId("tail").locator("tbody tr").first().waitFor();
    await tab.page.getByText("Your token may read this topic, not write to it.").waitFor();
    expect(await tab.page.getByRole("button", { name: "Delete the topic …" }).count()).toBe(0);
    await isSound(tab, [403]);
  });
});

describe("the rooms page", () => {
  beforeAll(fed);

  it("lists rooms, shows one's state and document, and deletes it", async () => {
    const tab = await on("rooms", "Rooms");
    const { page } = tab;
    await page.getByTestId("rooms").getByRole("link", { name: "flight-desk" }).click({ timeout: 60_000 });
    await page.getByRole("heading", { name: "flight-desk", level: 1 }).waitFor();
    const status = await world.call<{ epoch: string; databaseBytes: number }>("GET", "/v1/rooms/flight-desk");
    await page.getByText(status.epoch).waitFor();
    await soon("its size", async () => (await page.getByTestId("size").textContent()) === `${(status.databaseBytes / 1000).toFixed(1)} KB`);
    await page.getByRole("button", { name: "Read it as JSON" }).click();
    const text = page.getByTestId("document");
    await text.waitFor();
    expect(JSON.parse((await text.textContent())!)).toEqual(await world.room());
    expect(await accessibilityFaults(page)).toEqual([]);

    const desk = await on("flight-desk", "Flight desk");
    await soon("one connection", async () => (await figure(page, "connections")) === 1);
    await desk.close();
    await soon("none", async () => (await figure(page, "connections")) === 0);

    await page.getByRole("button", { name: "Delete the room …" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete the room" }).click();
    await page.getByRole("heading", { name: "Rooms", level: 1 }).waitFor();
    await page.getByText("No room yet.").waitFor();
    await expect(world.room()).rejects.toThrow(/404/);
    await isSound(tab, [404]);
  });

  it("says that there is no such room", async () => {
    const tab = await on("rooms/nowhere", "nowhere");
    await tab.page.getByRole("main").getByText('There is no room "nowhere".').waitFor();
    await isSound(tab, [404]);
  });
});

describe("the tokens page", () => {
  beforeAll(fed);

  it("mints a token that does what it was granted and no more, until it is revoked", async () => {
    const tab = await on("tokens", "Tokens");
    const { page } = tab;
    await page.getByLabel("Rights of grant 1").selectOption("read");
    await page.getByLabel("Capability of grant 1").selectOption("streams");
    await page.getByLabel("Names of grant 1").fill("flights");
    await page.getByRole("button", { name: "Add a grant" }).click();
    await page.getByLabel("Names of grant 2").fill("");
    await page.getByLabel(/^For/).fill("ada");
    await page.getByRole("button", { name: "Mint the token" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByRole("button", { name: "Remove grant 2" }).click();
    await page.getByRole("button", { name: "Mint the token" }).click();
    const shown = page.getByRole("region", { name: "Your new token" });
    const token = (await shown.locator(".command code").textContent())!;
    expect(token.split(".")).toHaveLength(3);
    expect(await accessibilityFaults(page)).toEqual([]);
    const row = page.getByTestId("tokens").locator("tbody tr", { hasText: "ada" });
    await row.getByText("read on streams flights").waitFor();
    await shown.getByRole("button", { name: "I have it" }).click();
    expect(await page.locator("body").textContent()).not.toContain(token);

    const ada = await on("streams/topics/flights", "flights", token);
    await ada.page.getByTestId("tail").locator("tbody tr").first().waitFor();
    await expect(world.call("POST", "/v1/stream/flights", [FLIGHT_SAMPLE[0]], token)).rejects.toThrow(/403/);
    await open(ada.page, "tokens", "Tokens");
    await ada.page.getByText("Only the admin key may mint, list and revoke tokens.").waitFor();
    expect(await accessibilityFaults(ada.page)).toEqual([]);
    await open(ada.page, "streams/topics/flights", "flights");

    await row.getByRole("button", { name: /^Revoke the token of ada/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke the token" }).click();
    await row.getByText(/^revoked/).waitFor();
    await ada.page.getByLabel("Admin key or token").waitFor({ timeout: 60_000 });
    await ada.close();
    await isSound(tab, [400]);
  });

  it("rotates the signing key", async () => {
    const tab = await on("tokens", "Tokens");
    const keys = tab.page.getByTestId("keys").locator("tbody tr");
    await keys.first().waitFor();
    const before = await keys.count();
    await tab.page.getByRole("button", { name: "Rotate …" }).click();
    await tab.page.getByRole("dialog").getByRole("button", { name: "Rotate the key" }).click();
    await soon("another key", async () => (await keys.count()) === before + 1);
    expect(await keys.filter({ hasText: "signs" }).count()).toBe(1);
    await isSound(tab);
  });
});

/** What the page itself may have asked between two looks. */
const SINCE = 100;

describe("the usage page", () => {
  beforeAll(fed);

  it("shows the account of the interface, in numbers and as a chart", async () => {
    const tab = await on("usage", "Usage");
    const { page } = tab;
    type Account = { total: { requests: number; rows: number }; dollars: { total: number }; byCapability: Record<string, unknown> };
    // Asking costs requests too, so the account never stands still: the page shows what it was at some moment since `before`.
    const before = (await world.call<Account>("GET", "/v1/usage")).total;
    expect(before.requests).toBeGreaterThan(0);
    await soon("the account as it is", async () => {
      const [requests, rows] = [await figure(page, "used-requests"), await figure(page, "used-rows")];
      return requests >= before.requests && rows >= before.rows;
    });
    const now = (await world.call<Account>("GET", "/v1/usage")).total;
    expect(await figure(page, "used-rows")).toBeLessThanOrEqual(now.rows + SINCE);
    expect(await figure(page, "used-requests")).toBeLessThanOrEqual(now.requests + SINCE);
    const account = await world.call<Account>("GET", "/v1/usage");
    expect(await page.getByTestId("by-capability").locator("tbody tr").count()).toBe(Object.keys(account.byCapability).length);
    expect(Number.parseFloat((await page.getByTestId("used-dollars").textContent())!.slice(1))).toBeCloseTo(account.dollars.total, 4);
    expect(await page.getByTestId("usage-chart").getAttribute("aria-label")).toMatch(/^Requests by hour .* The most in one hour: [1-9]/);
    await page.getByRole("radio", { name: "Rows" }).check({ force: true });
    await soon("rows drawn", async () => /^Rows/.test((await page.getByTestId("usage-chart").getAttribute("aria-label")) ?? ""));
    await page.getByRole("radio", { name: "30 days" }).check({ force: true });
    await soon("the same over a month", async () => (await figure(page, "used-requests")) >= account.total.requests);
    await page
      .getByRole("region", { name: "Not in this account" })
      .getByText(/storage at rest/)
      .waitFor();
    await isSound(tab);
  });

  it("says that a token may not see it", async () => {
    const { token } = await world.mint([{ capability: "rooms", name: "*", rights: ["read"] }]);
    const tab = await on("usage", "Usage", token);
    await tab.page.getByRole("main").getByText('The token does not grant "read" on platform "usage".').waitFor();
    await isSound(tab, [403]);
  });
});
