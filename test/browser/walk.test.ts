import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startServer } from "../e2e/harness.ts";
import { launchBrowser } from "./launch.ts";
import { figure, openTab, type Tab } from "./tab.ts";
import { soon, World } from "./world.ts";

let world: World;
/** Two browsers, of two people. */
let ann: { browser: Browser; tab: Tab };
let ben: { browser: Browser; tab: Tab };

beforeAll(async () => {
  const [server, ...browsers] = await Promise.all([startServer(), launchBrowser(), launchBrowser()]);
  world = new World(server);
  const [first, second] = await Promise.all(browsers.map(async (browser) => ({ browser, tab: await openTab(browser, world.url) })));
  ann = first!;
  ben = second!;
});

afterAll(async () => {
  await Promise.all([ann?.browser.close(), ben?.browser.close()]);
  await world?.server.close();
});

const heading = ({ page }: Tab, name: string) => page.getByRole("heading", { name, level: 1 }).waitFor();
const toPage = ({ page }: Tab, name: string) => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name }).click();

it("a new user signs in with the key that npm start printed", async () => {
  for (const { tab } of [ann, ben]) {
    await tab.page.getByLabel("Admin key or token").fill(world.key);
    await tab.page.getByRole("button", { name: "Sign in" }).click();
    await heading(tab, "Overview");
  }
  await ann.tab.page.getByTestId("fresh").waitFor();
});

it("runs the demo from the page, and sees the counts of the interface", async () => {
  const { page } = ann.tab;
  await page.getByTestId("fresh").getByRole("link", { name: "flight desk" }).click();
  await heading(ann.tab, "Flight desk");
  await page.getByLabel("Speed").selectOption("as fast as it goes");
  await page.getByRole("button", { name: "Run the demo" }).click();
  await page.getByRole("progressbar", { name: "Flights acknowledged" }).waitFor();
  await soon("a rate above zero", async () => (await figure(page, "rate")) > 0, 30_000);
  await page
    .getByTestId("demo")
    .getByText(/^All [\d,]+ are acknowledged/)
    .waitFor({ timeout: 100_000 });

  const { applied, head } = await world.api.untilApplied("flight-desk");
  await soon("every record applied", async () => (await figure(page, "applied")) === applied, 30_000);
  expect(await figure(page, "appended")).toBe(head);
  expect(head).toBe(await world.api.size("flights"));
  const { rows, partitions } = await world.api.rows("delays", { limit: 1000 });
  await soon("every window", async () => (await figure(page, "windows")) === rows.length, 30_000);
  expect(await figure(page, "late")).toBe(partitions.reduce((sum, { late }) => sum + late, 0));
  // Read each time: what tasks forward arrives after what they applied.
  await soon(
    "every unusual flight",
    async () => (await figure(page, "unusual")) === (await world.api.read("unusual", 0)).records.length,
    30_000,
  );
  // The overview says the same.
  await toPage(ann.tab, "Overview");
  await page
    .getByTestId("flow")
    .getByRole("link", { name: new RegExp(`^Topic flights ${head.toLocaleString("en")} records`) })
    .waitFor();
  await toPage(ann.tab, "Flight desk");
});

it("edits one note with another browser: each sees the other's words, name and cursor", async () => {
  await toPage(ben.tab, "Flight desk");
  for (const [{ tab }, name] of [
    [ann, "Ann"],
    [ben, "Ben"],
  ] as const) {
    await tab.page.getByLabel("Your name").fill(name);
    await tab.page.keyboard.press("Enter");
    await tab.page.getByRole("region", { name: "Shared note" }).scrollIntoViewIfNeeded();
    await tab.page.getByRole("textbox", { name: "Shared note" }).waitFor();
  }
  const note = ({ page }: Tab) => page.getByRole("textbox", { name: "Shared note" });
  await note(ann.tab).click();
  await ann.tab.page.keyboard.type("ORD is iced in. ");
  await soon("Ann's words at Ben's", async () => ((await note(ben.tab).textContent()) ?? "").includes("ORD is iced in."));
  await note(ben.tab).click();
  await ben.tab.page.keyboard.press("Control+End");
  await ben.tab.page.keyboard.type("MIA too.");
  await soon("Ben's words at Ann's", async () => ((await note(ann.tab).textContent()) ?? "").includes("MIA too."));
  // A cursor stands in the text with its owner's name on it, in both.
  await ben.tab.page.locator(".cm-ySelectionInfo", { hasText: "Ann" }).waitFor();
  await ann.tab.page.locator(".cm-ySelectionInfo", { hasText: "Ben" }).waitFor();
  expect(await ann.tab.page.getByTestId("others").textContent()).toContain("Ben");
  expect(await ben.tab.page.getByTestId("others").textContent()).toContain("Ann");
  for (const { tab } of [ann, ben]) await tab.page.getByText("Saved", { exact: true }).waitFor();
  expect((await world.room()).notes).toBe("ORD is iced in. MIA too.");
});

it("mints a token, and is refused with it where its grants end", async () => {
  const { page } = ann.tab;
  await toPage(ann.tab, "Tokens");
  await heading(ann.tab, "Tokens");
  await page.getByLabel("Rights of grant 1").selectOption("read");
  await page.getByLabel("Capability of grant 1").selectOption("streams");
  await page.getByLabel("Names of grant 1").fill("flights");
  await page.getByLabel(/^For/).fill("ben");
  await page.getByRole("button", { name: "Mint the token" }).click();
  const shown = page.getByRole("region", { name: "Your new token" });
  const token = (await shown.locator(".command code").textContent())!;

  // Ben's browser goes on with it in place of the key.
  await ben.tab.page.getByRole("button", { name: "Signed in as admin" }).click();
  await ben.tab.page.getByRole("button", { name: "Sign out" }).click();
  await ben.tab.page.getByLabel("Admin key or token").fill(token);
  await ben.tab.page.keyboard.press("Enter");
  await heading(ben.tab, "Flight desk");
  const main = ben.tab.page.getByRole("main");
  // What it grants works …
  await ben.tab.page.evaluate(() => {
    location.hash = "#/streams/topics/flights";
  });
  await ben.tab.page.getByTestId("tail").locator("tbody tr").first().waitFor();
  // … and what it does not is refused, in the page with the server's sentence, and by the server itself.
  await main.getByText("Your token may read this topic, not write to it.").waitFor();
  await expect(world.call("POST", "/v1/stream/flights", [{}], token)).rejects.toThrow(/403.*forbidden/s);
  await toPage(ben.tab, "Rooms");
  await main.getByText('The token does not grant "read" on rooms "*".').waitFor();
  await toPage(ben.tab, "Tokens");
  await main.getByText("Only the admin key may mint, list and revoke tokens.").waitFor();
  await expect(world.mint([{ capability: "rooms", name: "*", rights: ["read"] }], {}, token)).rejects.toThrow(/403.*admin_only/s);
});

it("saw no error in either browser but the refusals, and asked no other host", () => {
  const refused = (complaint: string) => complaint.includes("status of 403") || complaint.includes("WebSocket connection to");
  expect(ann.tab.complaints).toEqual([]);
  expect(ben.tab.complaints.filter((complaint) => !refused(complaint))).toEqual([]);
  for (const { tab } of [ann, ben]) expect([...tab.asked]).toEqual([new URL(world.url).host]);
});
