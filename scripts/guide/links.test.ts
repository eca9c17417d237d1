import { existsSync, readFileSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../lib/paths.ts";
import { listFiles } from "../lib/tree.ts";
import { readDocument, slugger, targetOf } from "./markdown.ts";
import { assetOf, readSite, renderPage, urlOf } from "./site.ts";

const FOLDERS = ["docs", "core", "wasm", "examples", "test", "client", "README.md", "CONTRIBUTING.md", "THREAT_MODEL.md", "SECURITY.md"];
const documents = FOLDERS.flatMap((folder) => listFiles(join(ROOT, folder)))
  .filter((path) => path.endsWith(".md") && !path.includes("/target/"))
  .map((path) => readDocument(path.slice(ROOT.length + 1), readFileSync(path, "utf8")));
const site = readSite(ROOT);
const served = new Map(site.pages.map((page) => [page.url, renderPage(site, page)]));

/** What is wrong with a link of the repository, in words; null when it leads somewhere. */
function fault(page: string, to: string): string | null {
  const target = targetOf(page, to);
  if (target === null) return null;
  const { path, anchor } = target;
  if (!existsSync(join(ROOT, path))) return `${page}: ${to} leads to ${path}, which is not there`;
  if (anchor === "") return null;
  const file = statSync(join(ROOT, path)).isDirectory() ? posix.join(path, "README.md") : path;
  const headings = documents.find((document) => document.path === file)?.headings ?? [];
  return headings.some(({ slug }) => slug === anchor) ? null : `${page}: ${file} has no heading "#${anchor}"`;
}

describe("the pages of the repository", () => {
  it("are found", () => {
    expect(documents.length).toBeGreaterThan(25);
    expect(documents.flatMap(({ links }) => links).length).toBeGreaterThan(150);
  });

  it.each(documents.map(({ path, links }) => [path, links] as const))("%s has no dead link and no dead anchor", (path, links) => {
    expect(links.map(({ to }) => fault(path, to)).filter((found) => found !== null)).toEqual([]);
  });

  it("a dead link, a dead anchor and a path out of the repository would be found", () => {
    expect(fault("docs/README.md", "nothing.md")).toContain("not there");
    expect(fault("docs/README.md", "streams.md#nothing")).toContain("no heading");
    expect(fault("docs/README.md", "#nothing")).toContain("no heading");
    expect(fault("docs/README.md", "../../../nowhere")).toContain("not there");
    expect(fault("docs/README.md", "../core/wire")).toBeNull();
  });

  it("link to nothing that a clone does not have", () => {
    const targets = documents.flatMap(({ path, links }) => links.flatMap(({ to }) => targetOf(path, to)?.path ?? []));
    const ignored = ["node_modules", "dist", ".cache", ".skerry"].filter((folder) =>
      targets.some((target) => target.startsWith(`${folder}/`)),
    );
    expect(ignored).toEqual([]);
  });

  it("cite with a test only rules that it has", () => {
    // "[topic](../core/streams/topic.test.ts) ST1, ST2" in a cell: the file's titles, or those of its suite, cite the rules.
    const page = readFileSync(join(ROOT, "docs/guarantees.md"), "utf8");
    const cited = [...page.matchAll(/\]\(\.\.\/([^)]+\.test\.ts)\)((?:,? [A-Z]{1,2}\d+\b)+)/g)];
    expect(cited.length).toBeGreaterThan(20);
    for (const [, path, rules] of cited) {
      const test = readFileSync(join(ROOT, path!), "utf8");
      for (const rule of rules!.match(/[A-Z]{1,2}\d+/g) ?? []) expect(test, `${path} has a test of ${rule}`).toContain(`[${rule}]`);
    }
  });
});

describe("anchors", () => {
  it.each([
    ["What is lost when the process is killed", "what-is-lost-when-the-process-is-killed"],
    ["1. Start", "1-start"],
    ["Frames (`protocol.ts`)".replaceAll("`", ""), "frames-protocolts"],
    ["`core/` never sees — the world!".replaceAll("`", ""), "core-never-sees--the-world"],
  ])("of %s are GitHub's", (heading, slug) => {
    expect(slugger()(heading)).toBe(slug);
  });

  it("are numbered where a heading comes again", () => {
    const slug = slugger();
    expect(["Rooms", "Rooms", "Rooms"].map(slug)).toEqual(["rooms", "rooms-1", "rooms-2"]);
  });
});

const STYLES = ["/guide/guide.css", "/guide/search.css"];

describe("the guide", () => {
  it("has every page of docs/: its index leads to them all", () => {
    expect(site.lost).toEqual([]);
    expect(site.groups.flatMap(({ entries }) => entries).length).toBeGreaterThan(15);
  });

  it.each([
    ["docs/README.md", "/guide/", "guide/index.html"],
    ["docs/streams.md", "/guide/streams", "guide/streams.html"],
    ["docs/decisions/README.md", "/guide/decisions/", "guide/decisions/index.html"],
    [
      "docs/decisions/0003-batches-are-json-text.md",
      "/guide/decisions/0003-batches-are-json-text",
      "guide/decisions/0003-batches-are-json-text.html",
    ],
    ["core/wire/SPEC.md", "/guide/core/wire/spec", "guide/core/wire/spec.html"],
    ["THREAT_MODEL.md", "/guide/threat_model", "guide/threat_model.html"],
  ])("shows %s at %s", (path, url, asset) => {
    expect(urlOf(path)).toBe(url);
    expect(assetOf(site.pages.find((page) => page.path === path)!)).toBe(asset);
  });

  it.each([...served])("%s leads only to pages and headings that are there, or to routes of the deployment", (url, html) => {
    for (const [, href] of html.matchAll(/ href="([^"]+)"/g)) {
      if (/^https?:/.test(href!) || ["/", "/docs", "/docs/errors", "/favicon.svg"].includes(href!) || STYLES.includes(href!)) continue;
      const [path, anchor] = href!.split("#") as [string, string?];
      const target = served.get(path === "" ? url : path);
      expect(target, `${url} -> ${href}`).toBeDefined();
      if (anchor !== undefined) expect(target, `${url} -> ${href}`).toContain(` id="${anchor}"`);
    }
  });

  it.each([...served])("%s loads nothing from elsewhere, and has no script of its own", (_, html) => {
    for (const [, src] of html.matchAll(/ src="([^"]+)"/g)) expect(src).toMatch(/^\/guide\/(?:guide\.js|search\.js|images\/[\w-]+\.webp)$/);
    expect(html).not.toMatch(/<script(?!(?: type="module")? src="\/guide\/[a-z]+\.js"><\/script>)/);
    expect(html).not.toMatch(/ on[a-z]+="/);
    expect(html).not.toMatch(/url\(["']?https?:/);
    expect(html).not.toContain("```");
  });

  it("turns from each page to the next, and back", () => {
    site.pages.forEach((page, at) => {
      const html = served.get(page.url)!;
      const next = site.pages[at + 1];
      if (next === undefined) expect(html).not.toContain('rel="next"');
      else expect(html).toContain(`rel="next" href="${next.url}"`);
      if (next !== undefined) expect(served.get(next.url)).toContain(`rel="prev" href="${page.url}"`);
    });
  });

  it("shows files that only the repository has as code, never as a link", () => {
    const html = served.get("/guide/guarantees")!;
    expect(html).toContain('<code class="file" title="test/e2e/thread-kill.test.ts in the repository">thread-kill</code>');
  });

  it("has one heading of the first level on each page, and escapes what is code", () => {
    for (const [url, html] of served) expect(html.match(/<h1 /g), url).toHaveLength(1);
    expect(served.get("/guide/quickstart")).toContain("t.stream&#60;Order&#62;(");
  });
});
