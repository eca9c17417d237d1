import { readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startServer } from "../e2e/harness.ts";
import { violations } from "./axe.ts";
import { accessibilityFaults } from "./basics.ts";
import { launchBrowser } from "./launch.ts";
import { figure, open, openTab, signIn, type Tab } from "./tab.ts";
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

async function on(path: string, heading: string, credential = world.key): Promise<Tab> {
  const tab = await openTab(browser, world.url);
  await signIn(tab.page, credential, path, heading);
  return tab;
}

/** A hung replica's sockets break and are refused, which a browser tells of in red. */
const WHILE_BROKEN = /WebSocket connection to/;

/** The group's own word, as the interface gives it. */
const status = (group: string): Promise<{ leader: number | null; term: number; revision: number; members: { id: number }[] }> =>
  world.call("GET", `/v1/groups/${group}`);

/** The number of the replica that the page shows as the leader; NaN while it shows none. */
const leaderOn = async (page: Page) => Number.parseInt(((await page.getByTestId("leader").textContent()) ?? "").replace(/^\D+/, ""), 10);

async function put(page: Page, key: string, value: string): Promise<void> {
  await page.getByLabel("Key", { exact: true }).fill(key);
  await page.getByLabel("Value", { exact: true }).fill(value);
  await page.getByRole("button", { name: "Put", exact: true }).click();
  await page.getByText(/^Written at revision [\d,]+: quorum; placement=simulated\.$/).waitFor();
}

it("makes a group, shows a key live in a second browser, and survives a leader that hangs", async () => {
  const first = await on("groups", "Groups");
  const { page } = first;
  await page.getByText("No group yet. Create one below.").waitFor();
  await page.getByLabel("New group").fill("harbour");
  await page.getByRole("button", { name: "Create the group" }).click();
  await page.getByRole("heading", { name: "harbour", level: 1 }).waitFor();
  await page.getByText("The group is empty.").waitFor();

  const second = await on("groups/harbour", "harbour");
  await second.page.getByText("The group is empty.").waitFor();
  await put(page, "lamp", "lit");
  const row = (where: Page, key: string) => where.getByTestId("keys").locator("tbody tr", { hasText: key });
  await row(second.page, "lamp").getByText("lit", { exact: true }).waitFor();

  // The page and the interface agree on who leads and how far it is.
  await soon("the leader of the interface", async () => (await leaderOn(page)) === (await status("harbour")).leader);
  await soon("the revision of the interface", async () => (await figure(page, "revision")) === (await status("harbour")).revision);
  const old = await status("harbour");
  await soon("three replicas", async () => (await page.getByTestId("replicas").locator("tbody tr").count()) === 3);
  await soon("the leader in the drawing", async () => {
    const label = await page.getByTestId("drawing").getByRole("img").getAttribute("aria-label");
    return label?.includes(`replica ${old.leader} leads`) === true;
  });
  expect(await violations(page)).toEqual([]);
  expect(await accessibilityFaults(page)).toEqual([]);
  expect([...first.complaints, ...second.complaints]).toEqual([]);

  await page.getByRole("button", { name: `Hang ${old.leader}`, exact: true }).click();
  await page.getByTestId("happened").getByText(`Replica ${old.leader} hangs.`).waitFor();
  // Nobody has missed it yet; the first question does.
  await page.getByRole("button", { name: "Ask the leader" }).click();
  await page
    .getByTestId("asked")
    .getByText(/^Answered after [\d,]+ ms/)
    .waitFor();
  await soon("another leader on the page", async () => {
    const now = await leaderOn(page);
    return Number.isInteger(now) && now !== old.leader;
  });
  const elected = await status("harbour");
  expect(elected.leader).not.toBe(old.leader);
  expect(elected.term).toBeGreaterThan(old.term);
  await page.getByTestId("happened").getByText(`Replica ${elected.leader} leads in term ${elected.term}.`).waitFor();
  expect(await violations(page)).toEqual([]);

  // What is written meanwhile reaches the other browser, whichever replica told it before.
  await put(page, "fog", "thick");
  await row(second.page, "fog").getByText("thick", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Heal all" }).click();
  await page.getByTestId("happened").getByText(`Replica ${old.leader} answers again.`).waitFor();
  await soon("all three answering", async () => (await figure(page, "answering")) === 3);
  await soon("the healed one has the log", async () => {
    const rows = await page.getByTestId("replicas").locator("tbody tr").allTextContents();
    return rows.filter((text) => text.includes("follower")).length === 2;
  });

  const [a, b] = (await status("harbour")).members.map(({ id }) => id);
  const link = page.getByRole("button", { name: `Cut the link ${a}–${b}` });
  await link.click();
  await page.getByText(`Cut: ${a}–${b}.`).waitFor();
  expect(await link.getAttribute("aria-pressed")).toBe("true");
  await link.click();
  await page.getByText("No link is cut.").waitFor();
  for (const tab of [first, second]) {
    expect(tab.complaints.filter((complaint) => !WHILE_BROKEN.test(complaint))).toEqual([]);
    await tab.close();
  }
});

it("pages through keys by prefix, changes only what nobody else has, and deletes", async () => {
  await world.makeGroup("pier");
  for (let i = 0; i < 60; i++) await world.put("pier", `berth/${String(i).padStart(2, "0")}`, `boat ${i}`);
  const tab = await on("groups/pier", "pier");
  const { page } = tab;
  const rows = page.getByTestId("keys").locator("tbody tr");
  await page.getByLabel(/^Keys that begin with/).fill("berth/");
  await page.getByText(/^60 keys, as of revision/).waitFor();
  expect(await rows.count()).toBe(50);
  await page.getByRole("button", { name: "Next", exact: true }).click();
  await rows.getByText("berth/50", { exact: true }).waitFor();
  await soon("the last ten", async () => (await rows.count()) === 10);

  await page.getByRole("button", { name: "Edit berth/55" }).click();
  await world.put("pier", "berth/55", "another boat");
  await rows.getByText("another boat", { exact: true }).waitFor();
  await page.getByLabel("Value", { exact: true }).fill("mine");
  await page.getByRole("button", { name: "Change it" }).click();
  await page
    .getByRole("alert")
    .getByText(/^The key was not changed: its last write is of revision/)
    .waitFor();
  await page.getByRole("button", { name: "Leave it" }).click();
  await page.getByRole("button", { name: "Edit berth/55" }).click();
  await page.getByLabel("Value", { exact: true }).fill("mine");
  await page.getByRole("button", { name: "Change it" }).click();
  await rows.getByText("mine", { exact: true }).waitFor();

  await page.getByRole("button", { name: "Delete berth/55" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete the key" }).click();
  await soon("one less", async () => (await rows.count()) === 9);
  await page.getByText(/^59 keys/).waitFor();
  // A lease that nobody keeps alive takes its key along.
  await page.getByLabel("Key", { exact: true }).fill("berth/99");
  await page.getByLabel("Value", { exact: true }).fill("passing");
  await page.getByLabel(/^Lease/).fill("2");
  await page.getByRole("button", { name: "Put", exact: true }).click();
  const passing = rows.filter({ hasText: "berth/99" });
  await passing.getByText("passing", { exact: true }).waitFor();
  await soon("its end", async () => (await passing.count()) === 0);

  await page.setViewportSize({ width: 390, height: 844 });
  await soon("a page that fits a phone", () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  expect(tab.complaints).toEqual([]);
  await tab.close();
});

it("adds, promotes and removes replicas, hands over leadership, and restores a snapshot into another group", async () => {
  await world.makeGroup("quay");
  const tab = await on("groups/quay", "quay");
  const { page } = tab;
  const rows = page.getByTestId("replicas").locator("tbody tr");
  await page.getByLabel(/^Add a replica/).selectOption("oc");
  await page.getByLabel("follow only, do not vote").check();
  await page.getByRole("button", { name: "Add the replica" }).click();
  await page.getByText("Replica 4 was added.", { exact: true }).first().waitFor();
  await rows.nth(3).getByText("learner").waitFor();
  await page.getByRole("button", { name: "Let 4 vote" }).click();
  await rows.nth(3).getByText("follower").waitFor();
  await page.getByRole("button", { name: "Make 4 the leader" }).click();
  await soon("replica 4 as the leader", async () => (await leaderOn(page)) === 4 && (await status("quay")).leader === 4);
  await page.getByRole("button", { name: "Remove 2 …" }).click();
  const dialog = page.getByRole("dialog", { name: "Remove replica 2?" });
  expect(await violations(page)).toEqual([]);
  await dialog.getByRole("button", { name: "Remove replica 2" }).click();
  await soon("three rows", async () => (await rows.count()) === 3);
  expect((await status("quay")).members.map(({ id }) => id)).toEqual([1, 3, 4]);

  const downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download the whole state" }).click();
  const file = await (await downloading).path();
  expect(readFileSync(file).byteLength).toBeGreaterThan(0);
  await open(page, "groups", "Groups");
  await page.getByLabel("New group").fill("quay-again");
  await page.getByLabel(/^Replicas/).selectOption("1");
  await page.getByLabel(/^From a snapshot/).setInputFiles(file);
  await page.getByRole("button", { name: "Create the group" }).click();
  await page.getByRole("heading", { name: "quay-again", level: 1 }).waitFor();
  await page.getByTestId("keys").getByText("greeting", { exact: true }).waitFor();

  await page.getByRole("button", { name: "Delete the group …" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete the group" }).click();
  await page.getByRole("heading", { name: "Groups", level: 1 }).waitFor();
  await page.getByTestId("groups").getByRole("link", { name: "quay", exact: true }).waitFor();
  await soon("the list without it", async () => (await page.getByRole("link", { name: "quay-again" }).count()) === 0);
  expect(tab.complaints).toEqual([]);
  await tab.close();
});

it("offers what a token may do, and says what it may not", async () => {
  await world.makeGroup("shed");
  const { token } = await world.mint([{ capability: "groups", name: "*", rights: ["read"] }]);
  const reader = await on("groups", "Groups", token);
  const { page } = reader;
  await page.getByText("Your token may not create groups").waitFor();
  await open(page, "groups/shed", "shed");
  await page.getByTestId("keys").getByText("greeting", { exact: true }).waitFor();
  await page.getByText("Your token may read this group, not write to it.").waitFor();
  await page.getByText(/^Your token may look at this group's members, not change them/).waitFor();
  for (const name of [/^Delete/, /^Hang/, /^Make \d the leader/, /^Remove/, /^Download/, "Put"])
    expect(await page.getByRole("button", { name, ...(typeof name === "string" && { exact: true }) }).count()).toBe(0);
  expect(await violations(page)).toEqual([]);
  // The overview, where one arrives, asks for more than this token may see.
  expect(reader.complaints.filter((complaint) => !complaint.includes("status of 403"))).toEqual([]);
  await reader.close();
});

it("gives the desk to one at a time, and to the next when a tab goes", async () => {
  const first = await on("flight-desk", "Flight desk");
  await first.page.getByRole("button", { name: "Create it" }).click();
  await first.page.getByText("Nobody has the desk.").waitFor();
  await first.page.getByRole("button", { name: "Take the desk" }).click();
  const mine = (tab: Tab) => tab.page.getByTestId("duty").getByText(/^You \(/);
  await mine(first).waitFor();
  const second = await on("flight-desk", "Flight desk");
  await second.page.getByRole("button", { name: "Stand by for the desk" }).click();
  await first.page.getByTestId("duty").getByText("1 other waiting").waitFor();
  expect(await mine(second).count()).toBe(0);
  // It is kept on other pages of the console too.
  await open(first.page, "usage", "Usage");
  await open(first.page, "flight-desk", "Flight desk");
  await mine(first).waitFor();
  expect(first.complaints).toEqual([]);
  await first.close();
  // By its last word, or at the latest by its lease.
  await mine(second).waitFor({ timeout: 120_000 });
  await second.page.getByRole("button", { name: "Give the desk back" }).click();
  await second.page.getByText("Nobody has the desk.").waitFor();
  expect(second.complaints).toEqual([]);
  await second.close();
});

it("sets the desk's thresholds for every tab at once, never over somebody else's unseen, and by keyboard alone", async () => {
  const first = await on("flight-desk", "Flight desk");
  // Where another test has not made the group already.
  const create = first.page.getByRole("button", { name: "Create it" });
  const said = (tab: Tab) => tab.page.getByTestId("thresholds");
  await create.or(said(first)).first().waitFor();
  if (await create.isVisible()) await create.click();
  await said(first).getByText("score of 0.686 or more").waitFor();
  const second = await on("flight-desk", "Flight desk");
  /** Opens the form, which takes the focus. */
  const edit = async ({ page }: Tab) => {
    await page.getByRole("button", { name: "Change thresholds" }).click();
    await page.waitForFunction(() => document.activeElement?.closest("form") !== null && document.activeElement?.tagName === "INPUT");
  };
  for (const tab of [first, second]) await edit(tab);

  // By keyboard: the form has the focus, Enter saves, and the focus goes back to where it was opened.
  await first.page.keyboard.press("ControlOrMeta+a");
  await first.page.keyboard.type("0.9");
  await first.page.keyboard.press("Tab");
  await first.page.keyboard.type("30");
  expect(await violations(first.page)).toEqual([]);
  await first.page.keyboard.press("Enter");
  for (const tab of [first, second]) await said(tab).getByText("score of 0.9 or more that is 30 min late or more").waitFor();
  await first.page.waitForFunction(() => document.activeElement?.textContent === "Change thresholds");

  // The second began with what was there before: it is told, and only then replaces it.
  const form = second.page.getByRole("form", { name: "Thresholds" });
  await form.getByLabel("Score from").fill("1.5");
  await form.getByRole("button", { name: "Save" }).click();
  await form.getByText("The score is a number from 0 to 1.").waitFor();
  await form.getByLabel("Score from").fill("0.5");
  await form.getByRole("button", { name: "Save" }).click();
  await form.getByText("Somebody else changed them meanwhile.").waitFor();
  expect(await violations(second.page)).toEqual([]);
  expect(await world.call("POST", "/v1/groups/flight-desk/v3/kv/range", { key: btoa("desk/thresholds") })).toMatchObject({
    kvs: [{ value: btoa('{"score":0.9,"delay":30}') }],
  });
  await form.getByRole("button", { name: "Save" }).click();
  await said(first)
    .getByText(/score of 0\.5 or more\.$/)
    .waitFor();

  const { token } = await world.mint([
    { capability: "groups", name: "*", rights: ["read"] },
    { capability: "streams", name: "*", rights: ["read"] },
    { capability: "rooms", name: "*", rights: ["read"] },
  ]);
  const reader = await on("flight-desk", "Flight desk", token);
  await said(reader).getByText("score of 0.5 or more").waitFor();
  expect(await reader.page.getByRole("button", { name: "Change thresholds" }).count()).toBe(0);
  await edit(second);
  await second.page.keyboard.press("Escape");
  await form.waitFor({ state: "detached" });
  for (const tab of [first, second]) {
    expect(tab.complaints).toEqual([]);
    await tab.close();
  }
  await reader.close();
});

it("shows the platform's own group to who may do everything, to look at and not to change", async () => {
  await world.makeGroup("shed");
  const { token } = await world.mint([{ capability: "groups", name: "*", rights: ["admin"] }]);
  const some = await on("groups", "Groups", token);
  await some.page.getByTestId("groups").getByRole("link", { name: "shed" }).waitFor();
  expect(await some.page.getByRole("link", { name: "_system" }).count()).toBe(0);
  await some.close();

  const admin = await on("groups", "Groups");
  const { page } = admin;
  await page.getByRole("link", { name: "_system" }).click();
  await page.getByTestId("keys").getByText("directory/group/shed", { exact: true }).waitFor();
  await page.getByText(/only the platform writes to it, and its members stay/).waitFor();
  // Nothing is said of a token to who has the admin key.
  expect(await page.getByText(/Your token/).count()).toBe(0);
  for (const name of [/^Delete/, /^Make \d the leader/, /^Remove/, /^Add a replica/, "Put"])
    expect(await page.getByRole("button", { name, ...(typeof name === "string" && { exact: true }) }).count()).toBe(0);
  expect(await violations(page)).toEqual([]);
  expect(admin.complaints).toEqual([]);
  await admin.close();
});
