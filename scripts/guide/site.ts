import { existsSync, readFileSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import { Refusal } from "../lib/refusal.ts";
import { listFiles } from "../lib/tree.ts";
import { type Document, escapeHtml, readDocument, renderMarkdown, targetOf } from "./markdown.ts";

/** One page of the guide: a Markdown file of the repository and its address. */
export type Page = { path: string; url: string; source: string; document: Document };
/** Pages in reading order, as the index names them, and how the index groups them; `lost` are pages of docs/ it does not lead to. */
export type Site = { root: string; pages: Page[]; groups: Group[]; lost: string[] };
/** What the index calls each page. */
type Group = { title: string; entries: { page: Page; label: string }[] };

const INDEX = "docs/README.md";
/** Pictures that pages show; each is served beside the pages. */
export const IMAGES = "docs/images";

/**
 * The guide is what `docs/README.md` links to, in that order: pages of docs/, and others of the repository (rules, how to
 * contribute). A linked page that is an index itself (`…/README.md`) brings along what it links to.
 */
export function readSite(root: string): Site {
  const pages = new Map<string, Page>();
  const read = (path: string): Page => {
    const known = pages.get(path);
    if (known !== undefined) return known;
    const source = readFileSync(join(root, path), "utf8");
    const page = { path, url: urlOf(path), source, document: readDocument(path, source) };
    pages.set(path, page);
    if (posix.basename(path) === "README.md") for (const linked of linkedPages(root, page)) read(linked);
    return page;
  };
  const index = read(INDEX);
  const lost = listFiles(join(root, "docs"))
    .map((path) => path.slice(root.length + 1))
    .filter((path) => path.endsWith(".md") && !pages.has(path));
  return { root, pages: [...pages.values()], groups: groupsOf(root, index, pages), lost };
}

/** Under each heading of the index, the pages it links to, by the words of the link. */
function groupsOf(root: string, index: Page, pages: ReadonlyMap<string, Page>): Group[] {
  const sections = index.source.split(/^## /m).slice(1);
  return sections.map((section) => {
    const entries = new Map<string, Group["entries"][number]>();
    for (const { to, text } of readDocument(INDEX, section).links) {
      const target = targetOf(INDEX, to);
      const page = target === null ? undefined : pages.get(fileOf(root, target.path));
      if (page !== undefined && !entries.has(page.path)) entries.set(page.path, { page, label: text });
    }
    return { title: section.split("\n", 1)[0] as string, entries: [...entries.values()] };
  });
}

/** The Markdown files that a page links to, once each; a folder stands for its README. */
function linkedPages(root: string, { path, document }: Page): string[] {
  const targets = document.links.flatMap(({ to }) => targetOf(path, to)?.path ?? []).map((target) => fileOf(root, target));
  return [...new Set(targets)].filter((target) => target !== path && target.endsWith(".md") && existsSync(join(root, target)));
}

function fileOf(root: string, path: string): string {
  const isFolder = statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory() ?? false;
  return isFolder && existsSync(join(root, path, "README.md")) ? posix.join(path, "README.md") : path;
}

/** `docs/streams.md` is at /guide/streams, an index at its folder, `core/wire/SPEC.md` at /guide/core/wire/spec. */
export function urlOf(path: string): string {
  return `/guide/${path.replace(/^docs\//, "")}`
    .toLowerCase()
    .replace(/\.md$/, "")
    .replace(/(^|\/)readme$/, "$1");
}

/** The file, below the folder of the assets, that is served at a page's address. */
export const assetOf = ({ url }: Page): string => (url.endsWith("/") ? `${url}index.html` : `${url}.html`).slice(1);

/** A whole page. Nothing in it comes from another host, and no script is inline: the policy of our pages forbids both. */
export function renderPage(site: Site, page: Page): string {
  const at = site.pages.indexOf(page);
  const { document } = page;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(document.title)} · Skerry guide</title>
<link rel="icon" href="/favicon.svg">
<link rel="stylesheet" href="/guide/guide.css">
<link rel="stylesheet" href="/guide/search.css">
<script src="/guide/guide.js"></script>
<script type="module" src="/guide/search.js"></script>
</head>
<body>
<a class="skip" href="#content">To the text</a>
<header class="bar">
<a class="home" href="/guide/">Skerry <span>guide</span></a>
<button id="find" class="find" type="button" aria-keyshortcuts="/ Control+K" hidden>${MAGNIFIER}<span>Search</span><kbd aria-hidden="true">/</kbd></button>
<nav aria-label="This deployment"><a class="narrow" href="#pages">Pages</a><a href="/">Console</a><a href="/docs">Reference</a></nav>
</header>
<div class="frame">
<main id="content">
${contents(document)}<article>
${renderMarkdown(page.source, writerOf(site, page))}</article>
<nav class="turn" aria-label="Before and after">${turn("prev", site.pages[at - 1])}${turn("next", site.pages[at + 1])}</nav>
</main>
<nav class="pages" id="pages" aria-label="Pages">
${site.groups.map((group) => section(site, page, group)).join("\n")}
</nav>
</div>
</body>
</html>
`;
}

const MAGNIFIER =
  '<svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" aria-hidden="true" focusable="false"><circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3.500 3.500"/></svg>';

function section(site: Site, page: Page, { title, entries }: Group): string {
  const items = entries.map(({ page: each, label }) => item(page, each, label) + inside(site, page, each));
  return `<h2>${escapeHtml(title)}</h2>\n<ul>${items.join("")}</ul>`;
}

/** The pages that an index leads to: shown while one of them is. */
function inside(site: Site, page: Page, index: Page): string {
  if (posix.basename(index.path) !== "README.md" || !page.path.startsWith(`${posix.dirname(index.path)}/`)) return "";
  const pages = linkedPages(site.root, index).flatMap((path) => site.pages.filter((each) => each.path === path));
  return `<li><ul class="inside">${pages.map((each) => item(page, each, each.document.title)).join("")}</ul></li>`;
}

function item(page: Page, { path, url }: Page, label: string): string {
  const here = path === page.path ? ' aria-current="page"' : "";
  return `<li><a href="${url}"${here}>${escapeHtml(label)}</a></li>`;
}

function contents({ headings }: Document): string {
  const shown = headings.filter(({ depth }) => depth === 2 || depth === 3);
  if (shown.length < 3) return "";
  const items = shown.map(({ depth, text, slug }) => `<li class="depth-${depth}"><a href="#${slug}">${escapeHtml(text)}</a></li>`);
  return `<details class="toc" open><summary>On this page</summary><nav aria-label="On this page"><ul>${items.join("")}</ul></nav></details>\n`;
}

function turn(rel: "prev" | "next", page: Page | undefined): string {
  if (page === undefined) return "<span></span>";
  const word = rel === "prev" ? "Before" : "Next";
  return `<a rel="${rel}" href="${page.url}"><small>${word}</small>${escapeHtml(page.document.title)}</a>`;
}

/**
 * Links of the repository in the guide: a page's become its address, those of the local server lead to the server that
 * shows the guide, and files that only the repository has are told by name.
 */
function writerOf({ root, pages }: Site, { path }: Page) {
  return {
    link(to: string, html: string, text: string): string {
      const local = /^http:\/\/localhost:8787(\/.*)?$/.exec(to);
      if (local !== null) return `<a href="${escapeHtml(local[1] ?? "/")}">${html}</a>`;
      const target = targetOf(path, to);
      if (target === null) return `<a href="${escapeHtml(to)}" rel="noreferrer">${html}</a>`;
      const file = fileOf(root, target.path);
      const page = pages.find((each) => each.path === file);
      if (page !== undefined) return `<a href="${page.url}${target.anchor === "" ? "" : `#${escapeHtml(target.anchor)}`}">${html}</a>`;
      return `<code class="file" title="${escapeHtml(target.path)} in the repository">${escapeHtml(text)}</code>`;
    },
    image(to: string, text: string): string {
      const target = targetOf(path, to);
      if (target?.path.startsWith(`${IMAGES}/`))
        return `<img src="/guide/images/${posix.basename(target.path)}" alt="${escapeHtml(text)}" loading="lazy">`;
      if (target === null || !target.path.endsWith(".svg"))
        throw new Refusal(`${path}: an image of the guide is an SVG of docs/ or a picture of ${IMAGES}/, not ${to}.`);
      // In the page itself, so that it takes the page's theme.
      const svg = readFileSync(join(root, target.path), "utf8").replace(/^<\?xml[^>]*>\s*/, "");
      return `<figure class="scroll" tabindex="0" aria-label="${escapeHtml(text)}">${svg.trim().replace(/\n+/g, "\n")}</figure>`;
    },
  };
}
