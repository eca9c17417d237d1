import type { Page } from "playwright-core";

/**
 * What breaks a page for those who hear it or use it by keyboard, in words; empty when nothing of it is there. The
 * plain rules that a machine can decide: names of controls and images, headings, landmarks, ids, contrast of text.
 */
export function accessibilityFaults(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const faults: string[] = [];
    const say = (element: Element, fault: string) => faults.push(`${fault}: ${element.outerHTML.slice(0, 120)}`);
    const all = (selector: string) => Array.from(document.querySelectorAll<HTMLElement>(selector));
    const shown = (element: HTMLElement) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    const byId = (ids: string | null) =>
      (ids ?? "")
        .split(" ")
        .map((id) => document.getElementById(id)?.textContent ?? "")
        .join(" ");
    const nameOf = (element: HTMLElement) =>
      [
        element.getAttribute("aria-label"),
        byId(element.getAttribute("aria-labelledby")),
        ...Array.from((element as HTMLInputElement).labels ?? [], (label) => label.textContent),
        // biome-ignore lint/performance/useDomNodeTextContent: what is not displayed is no name.
        element.matches("button, a, summary") ? element.innerText : "",
      ]
        .join(" ")
        .trim();

    if (!document.documentElement.lang) faults.push("the page has no language");
    if (!document.title) faults.push("the page has no title");
    if (all("main").length !== 1) faults.push(`${all("main").length} main landmarks`);
    if (all("h1").length !== 1) faults.push(`${all("h1").length} headings of level 1`);
    const levels = all("h1, h2, h3")
      .filter(shown)
      .map((heading) => Number(heading.tagName[1]));
    for (const [at, level] of levels.entries()) {
      if (at > 0 && level > levels[at - 1]! + 1) faults.push(`a heading of level ${level} after ${levels[at - 1]}`);
    }
    const ids = all("[id]").map(({ id }) => id);
    for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) faults.push(`the id ${id} twice`);

    const controls = "a[href], button, input, select, textarea, [role=slider], [role=textbox], [contenteditable=true]";
    for (const element of all(controls)) if (nameOf(element) === "") say(element, "a control without a name");
    for (const element of all("img:not([aria-hidden=true]), [role=img]"))
      if (!element.hasAttribute("alt") && nameOf(element) === "") say(element, "an image without a name");
    for (const element of all("svg"))
      if (!element.closest("[aria-hidden=true]")) say(element, "a drawing that is neither named nor hidden");
    for (const element of all("[tabindex]")) if (element.tabIndex > 0) say(element, "a place of its own in the order of focus");
    for (const element of all("[aria-hidden=true] a, [aria-hidden=true] button, [aria-hidden=true] input"))
      say(element, "a hidden control");
    for (const element of all("section")) if (nameOf(element) === "") say(element, "a section without a name");
    for (const element of all("table th")) if (!element.hasAttribute("scope")) say(element, "a heading cell without scope");

    // Contrast as WCAG 2.2 computes it (1.4.3), of text on plain grounds.
    const channels = (colour: string) => {
      const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true })!;
      probe.fillStyle = colour;
      probe.fillRect(0, 0, 1, 1);
      return [...probe.getImageData(0, 0, 1, 1).data] as [number, number, number, number];
    };
    const luminance = ([r, g, b]: number[]) =>
      [r!, g!, b!]
        .map((byte) => byte / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at]!, 0);
    const groundOf = (element: HTMLElement): number[] | null => {
      for (let at: HTMLElement | null = element; at !== null; at = at.parentElement) {
        const style = getComputedStyle(at);
        if (style.backgroundImage !== "none") return null;
        const ground = channels(style.backgroundColor);
        if (ground[3] === 255) return ground;
        if (ground[3] > 0) return null;
      }
      return channels(getComputedStyle(document.body).backgroundColor);
    };
    for (const element of all("body *")) {
      const own = Array.from(element.childNodes).some((node) => node.nodeType === Node.TEXT_NODE && node.textContent!.trim() !== "");
      if (!own || !shown(element) || element.closest(".visually-hidden, :disabled, .skip")) continue;
      const ground = groundOf(element);
      if (ground === null) continue;
      const style = getComputedStyle(element);
      const [a, b] = [luminance(channels(style.color)), luminance(ground)].sort((x, y) => y - x) as [number, number];
      const ratio = (a + 0.05) / (b + 0.05);
      const large =
        Number.parseFloat(style.fontSize) >= 24 || (Number.parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
      if (ratio < (large ? 3 : 4.5)) say(element, `contrast ${ratio.toFixed(2)}`);
    }
    return faults;
  });
}

/** Where Tab leads from the top of the page, as the names of what has the focus, until it comes around. */
export async function focusOrder(page: Page): Promise<string[]> {
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  const order: string[] = [];
  for (let step = 0; step < 120; step++) {
    await page.keyboard.press("Tab");
    const name = await page.evaluate(() => {
      const element = document.activeElement as HTMLInputElement | null;
      if (element === null || element === document.body) return null;
      const visible = element.getBoundingClientRect().width > 0;
      const label = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent ?? "";
      return visible ? label.trim() : `invisible: ${label.trim()}`;
    });
    if (name === null || (order.length > 0 && name === order[0])) break;
    order.push(name);
  }
  return order;
}
