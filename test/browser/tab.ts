import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";

/**
 * A tab of its own browser profile. `complaints` has what a developer's console would show in red, and requests and
 * sockets to other hosts; `asked` every host that was asked for anything.
 */
export type Tab = { page: Page; complaints: string[]; asked: Set<string>; close(): Promise<void> };

/** How long a page may take for one step, in milliseconds: far beyond what it takes, so that a busy machine fails nothing. */
const PATIENCE = 120_000;

/** Opens a tab; with a credential, one that is signed in by it already, as after a reload. */
export async function openTab(browser: Browser, url: string, options: BrowserContextOptions = {}, credential?: string): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  if (credential !== undefined) await context.addInitScript((key) => sessionStorage.setItem("skerry.credential", key), credential);
  return openPage(context, url);
}

/** Opens one more tab of a profile. */
export async function openPage(context: BrowserContext, url: string): Promise<Tab> {
  const page = await context.newPage();
  const complaints: string[] = [];
  const asked = new Set<string>();
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  const { host } = new URL(url);
  const ask = (where: string) => {
    asked.add(new URL(where).host);
    if (new URL(where).host !== host) complaints.push(`asked another host: ${where}`);
  };
  page.on("request", (request) => ask(request.url()));
  page.on("websocket", (socket) => ask(socket.url()));
  const response = await page.goto(url);
  if (!response?.ok()) throw new Error(`The console was answered by ${response?.status()}: ${await response?.text()}`);
  return { page, complaints, asked, close: () => context.close() };
}

/** Signs in and opens a page by what follows `#/`, with its heading. */
export async function signIn(page: Page, credential: string, path = "flight-desk", heading = "Flight desk"): Promise<void> {
  await page.getByLabel("Admin key or token").fill(credential);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  await open(page, path, heading);
}

/** Goes to a page of the console and waits for its heading. */
export async function open(page: Page, path: string, heading: string): Promise<void> {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, `#/${path}`);
  await page.getByRole("heading", { name: heading, level: 1 }).waitFor();
}

/** The number that a tile of the desk shows; NaN while it shows none. */
export async function figure(page: Page, id: string): Promise<number> {
  const text = (await page.getByTestId(id).textContent()) ?? "";
  return Number.parseFloat(text.replaceAll(",", ""));
}
