// `npm run screenshots`: takes the pictures of the README and the guide anew, from a server of its own with the demo running.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { launchBrowser } from "../test/browser/launch.ts";
import { build } from "./lib/build.ts";
import { CHROMIUM_MISSING, chromiumPath } from "./lib/chromium.ts";
import { ROOT } from "./lib/paths.ts";
import { freePort, sleep, until } from "./lib/processes.ts";
import { command, Refusal } from "./lib/refusal.ts";
import { serve } from "./lib/serve.ts";

const FOLDER = join(ROOT, "docs/images");
const KEY = "screenshots-only-5Zr8kV1nQ4tL7yB2";
const NOTE = "ORD is iced in until noon, expect the evening bank late.\nMIA: one runway closed.";
/** Pixels of a picture for each of the page: sharp on most screens, and small enough for a README. */
const SCALE = 1.5;
const QUALITY = 0.86;
/** Records a second of the demo, and how many of them make a good picture. */
const SPEED = "2,000 a second";
const ENOUGH = 34_000;
/** Records a second that a picture of a running demo is to show: taking the one before holds the demo up for a moment. */
const FLOWS = 1_000;

await command(async () => {
  if (chromiumPath() === null) throw new Refusal(CHROMIUM_MISSING.replace("the browser tests cannot run", "no pictures can be taken"));
  const built = await build();
  const state = mkdtempSync(join(tmpdir(), "skerry-screenshots-"));
  const serving = await serve({
    built,
    host: "127.0.0.1",
    port: await freePort(),
    state,
    env: { SKERRY_ADMIN_KEY: KEY, SKERRY_LOG: "warn" },
  });
  const browser = await launchBrowser();
  try {
    mkdirSync(FOLDER, { recursive: true });
    await takeAll(browser, serving.url);
  } finally {
    await browser.close();
    await serving.stop();
    rmSync(state, { recursive: true, force: true });
  }
});

async function takeAll(browser: Browser, url: string): Promise<void> {
  await call(url, "PUT", "/v1/groups/flight-desk", { replicas: 3 });
  const desk = await open(browser, url, "Ann", 1280, 1400);
  const phone = await open(browser, url, "Ben", 390, 844);
  const overview = await open(browser, url, "Cem", 1280, 640);

  await go(desk, "flight-desk");
  await desk.getByRole("button", { name: "Take the desk" }).click();
  await desk.getByLabel("Speed").selectOption(SPEED);
  await desk.getByRole("button", { name: "Run the demo" }).click();
  await desk.getByTestId("demo").getByText("acknowledged").waitFor({ timeout: 60_000 });
  await Promise.all([write(desk, "Ann", NOTE), go(phone, "flight-desk")]);
  await write(phone, "Ben", "");
  await desk.evaluate(() => scrollTo(0, 0));
  const number = async (id: string) => Number.parseInt(((await desk.getByTestId(id).textContent()) ?? "").replaceAll(",", ""), 10);
  if (!(await until(async () => (await number("appended")) > ENOUGH, 180_000, 200))) throw new Error("The demo did not come far enough.");
  const flowing = () => until(async () => (await number("rate")) > FLOWS, 5_000, 50);

  const take = taker(browser);
  await take(overview, "overview");
  await flowing();
  await take(desk, "flight-desk", ".map");
  await desk.emulateMedia({ colorScheme: "dark" });
  await sleep(400);
  await flowing();
  await take(desk, "flight-desk-dark", ".map");
  await phone.evaluate(() => document.querySelector(".map")?.scrollIntoView());
  await phone.evaluate(() => scrollBy(0, -64));
  await take(phone, "phone");
}

async function open(browser: Browser, url: string, name: string, width: number, height: number): Promise<Page> {
  const context: BrowserContext = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor: width < 500 ? 2 : SCALE,
    colorScheme: "light",
    ...(width < 500 && { isMobile: true, hasTouch: true }),
  });
  await context.addInitScript(
    ([key, who]) => {
      sessionStorage.setItem("skerry.credential", key as string);
      sessionStorage.setItem("skerry.name", who as string);
    },
    [KEY, name],
  );
  const page = await context.newPage();
  await page.goto(url);
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  return page;
}

async function call(url: string, method: string, path: string, body: unknown): Promise<void> {
  const headers = { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" };
  const response = await fetch(url + path, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path} was answered by ${response.status}: ${await response.text()}`);
}

async function go(page: Page, path: string): Promise<void> {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, `#/${path}`);
  await page.getByRole("heading", { level: 1 }).waitFor();
}

/** Somebody at the shared note. */
async function write(page: Page, name: string, text: string): Promise<void> {
  await page.getByRole("region", { name: "Shared note" }).scrollIntoViewIfNeeded();
  const note = page.getByRole("textbox", { name: "Shared note" });
  await note.click();
  await page.keyboard.press("Control+End");
  if (text !== "") await page.keyboard.type(text, { delay: 5 });
  if (!(await until(async () => ((await note.textContent()) ?? "").length > 0, 20_000))) throw new Error(`${name} sees no note.`);
}

/** Takes a picture of what is in view, down to the end of `last`, and keeps it as WebP, which the browser itself makes of it. */
function taker(browser: Browser): (page: Page, name: string, last?: string) => Promise<void> {
  return async (page, name, last) => {
    await page.evaluate(() => document.fonts.ready);
    // In one go with the picture: a page that is measured while it grows is cut off.
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    const box = last === undefined ? null : await page.locator(last).boundingBox();
    const clip = box === null ? undefined : { x: 0, y: 0, width: page.viewportSize()!.width, height: box.y + box.height + 14 };
    const png = (await page.screenshot({ animations: "disabled", caret: "hide", ...(clip && { clip }) })).toString("base64");
    const converter = await browser.newPage();
    const webp = await converter.evaluate(
      async ([base64, quality]) => {
        const image = new Image();
        image.src = `data:image/png;base64,${base64}`;
        await image.decode();
        const canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth;
        canvas.height = image.naturalHeight;
        canvas.getContext("2d")!.drawImage(image, 0, 0);
        return canvas.toDataURL("image/webp", quality as number).split(",")[1]!;
      },
      [png, QUALITY] as const,
    );
    await converter.close();
    const file = join(FOLDER, `${name}.webp`);
    const bytes = Buffer.from(webp, "base64");
    writeFileSync(file, bytes);
    console.log(`${relative(ROOT, file).padEnd(36)} ${Math.round(bytes.length / 1024)} KiB`);
  };
}
