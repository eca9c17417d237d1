import { Marked, type Token, type Tokens } from "marked";
import MiniSearch from "minisearch";
import { ERRORS, type ErrorCode } from "../../core/wire/errors.ts";
import { plain, slugger } from "./markdown.ts";
import { type Hit, SEARCH_OPTIONS } from "./search-options.ts";
import type { Page, Site } from "./site.ts";

/** One heading of a page with what stands under it; what is found, and where it leads. */
export type Section = { url: string; page: string; heading: string; text: string };

/** Characters of a section that a hit can show around what was found. */
const SHOWN = 600;

/** The index of the whole guide and of the error codes, as `MiniSearch.toJSON` gives it: built here, only loaded in the browser. */
export function searchIndex(site: Site): string {
  const sections = [...site.pages.flatMap(sectionsOf), ...errorSections()];
  const index = new MiniSearch<Hit>(SEARCH_OPTIONS);
  index.addAll(sections.map(({ text, ...section }, id) => ({ id, ...section, text, shown: text.slice(0, SHOWN) })));
  return JSON.stringify(index);
}

/** A page by its headings of the first three levels. What stands before the first of them belongs to the page itself. */
export function sectionsOf({ url, document, source }: Pick<Page, "url" | "document" | "source">): Section[] {
  const page = document.title;
  const slugOf = slugger();
  const sections: Section[] = [{ url, page, heading: page, text: "" }];
  for (const token of new Marked({ gfm: true }).lexer(source)) {
    if (token.type === "heading") {
      const heading = plain(token.tokens ?? []);
      const slug = slugOf(heading);
      if (token.depth === 2 || token.depth === 3) {
        sections.push({ url: `${url}#${slug}`, page, heading, text: "" });
        continue;
      }
      if (token.depth === 1) continue;
    }
    const section = sections.at(-1)!;
    section.text = `${section.text} ${textOf(token)}`.replace(/\s+/g, " ").trim();
  }
  return sections.filter(({ text, heading }) => text !== "" || heading === page);
}

function errorSections(): Section[] {
  return (Object.keys(ERRORS) as ErrorCode[]).map((code) => {
    const { title, status, close, retryable } = ERRORS[code];
    const text = `${title}. Status ${status}, close code ${close}, ${retryable ? "retryable" : "not retryable"}.`;
    return { url: `/docs/errors#${code}`, page: "Errors", heading: code, text };
  });
}

/** What a block says, code and tables included. */
function textOf(token: Token): string {
  switch (token.type) {
    case "space":
    case "hr":
      return "";
    case "code":
      return (token as Tokens.Code).text;
    case "table": {
      const { header, rows } = token as Tokens.Table;
      return [header, ...rows].map((cells) => cells.map(({ tokens }) => plain(tokens)).join(" ")).join(" ");
    }
    case "list":
      return (token as Tokens.List).items.map((item) => item.tokens.map(textOf).join(" ")).join(" ");
    case "blockquote":
      return (token.tokens ?? []).map(textOf).join(" ");
    default:
      return plain("tokens" in token && token.tokens !== undefined ? token.tokens : [token]);
  }
}
