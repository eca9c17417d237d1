import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults, RunOnly } from "axe-core";
import type { Page } from "playwright-core";

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** WCAG 2.0, 2.1 and 2.2, levels A and AA. */
const LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** The rules that another theme can break: all else is the same in both. */
const COLOURS = ["color-contrast", "link-in-text-block"];

/** What axe finds against WCAG of level A or AA on a page as it stands, in words; empty when nothing. */
export function violations(page: Page): Promise<string[]> {
  return run(page, { type: "tag", values: LEVELS });
}

/** The same for what colours can break, for a page that was looked at in its other theme. */
export function colourViolations(page: Page): Promise<string[]> {
  return run(page, { type: "rule", values: COLOURS });
}

async function run(page: Page, runOnly: RunOnly): Promise<string[]> {
  // Evaluated by the debugger: the page's own policy would, rightly, run no script of ours.
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(SOURCE);
  // What is scrolled under the bar that stays on top counts as covered by it, and could be scrolled out by anyone.
  await page.evaluate(() => scrollTo(0, 0));
  const { violations, passes } = await page.evaluate((only): Promise<AxeResults> => {
    const { axe } = window as unknown as { axe: typeof import("axe-core") };
    return axe.run(document, { runOnly: only });
  }, runOnly);
  if (passes.length === 0) throw new Error("axe looked at nothing.");
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} (${(failureSummary ?? "").replace(/\s+/g, " ")})`),
  );
}
