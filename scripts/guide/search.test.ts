import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import MiniSearch, { type SearchResult } from "minisearch";
import { describe, expect, it } from "vitest";
import { readDocument } from "./markdown.ts";
import { searchIndex, sectionsOf } from "./search.ts";
import { type Hit, SEARCH_OPTIONS } from "./search-options.ts";
import { readSite, renderPage } from "./site.ts";

const site = readSite(fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, ""));
const json = searchIndex(site);
const index = MiniSearch.loadJSON<Hit>(json, SEARCH_OPTIONS);
const urlsOf = (words: string) => (index.search(words) as (SearchResult & Hit)[]).map(({ url }) => url);

describe("sections", () => {
  const source =
    "# A *page*\n\nFirst words.\n\n## Two\n\n- a `code`\n- b\n\n#### Four\n\n| k | v |\n|---|---|\n| x | [y](z) |\n\n## Two\n\n```bash\ncurl & go\n```\n";
  const sections = sectionsOf({ url: "/guide/p", document: readDocument("docs/p.md", source), source });

  it("are the headings of a page, with what stands under them", () => {
    expect(sections).toEqual([
      { url: "/guide/p", page: "A page", heading: "A page", text: "First words." },
      { url: "/guide/p#two", page: "A page", heading: "Two", text: "a code b Four k v x y" },
      { url: "/guide/p#two-1", page: "A page", heading: "Two", text: "curl & go" },
    ]);
  });
});

describe("the search of the guide", () => {
  it("leads only to pages and headings that are there", () => {
    const served = new Map(site.pages.map((page) => [page.url, renderPage(site, page)]));
    for (const { url } of site.pages.flatMap(sectionsOf)) {
      const [path, anchor] = url.split("#") as [string, string?];
      expect(served.get(path), url).toBeDefined();
      if (anchor !== undefined) expect(served.get(path), url).toContain(` id="${anchor}"`);
    }
  });

  it("finds every section by the words of its heading and page", () => {
    for (const { url, heading, page } of site.pages.flatMap(sectionsOf))
      expect(urlsOf(`${heading} ${page}`), `${heading} ${page}`).toContain(url);
  });

  it.each([
    ["closeOnIdle", "/guide/streams#topologies"],
    ["closeoni", "/guide/streams#topologies"],
    ["deploy cloudflare", "/guide/deploy"],
    ["record_in_future", "/docs/errors#record_in_future"],
    ["guarentees", "/guide/guarantees"],
  ])("finds %s", (words, url) => {
    expect(urlsOf(words).slice(0, 8)).toContain(url);
  });

  it("finds nothing for what the guide does not say", () => {
    expect(urlsOf("xylophone")).toEqual([]);
  });

  it("is fetched at once even over a slow line", () => {
    expect(gzipSync(json).length).toBeLessThan(150_000);
  });
});
