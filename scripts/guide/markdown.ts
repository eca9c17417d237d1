import { posix } from "node:path";
import { Marked, type Token, type Tokens } from "marked";

export type Heading = { depth: number; text: string; slug: string };
/** What a page says, read once: for the guide, and for the checks of its links. */
export type Document = { path: string; title: string; headings: Heading[]; links: Link[]; code: CodeBlock[]; tables: Table[] };
/** `to` as it is written, and `text` without its markup. */
export type Link = { to: string; text: string };
/** `info` is what stands behind the language: "file=topologies/orders.ts" in "```ts file=topologies/orders.ts". */
export type CodeBlock = { lang: string; info: string; text: string };
/** Cells as they are written, without their markup; `under` is the heading above. */
export type Table = { under: string; header: string[]; rows: string[][] };

/** GitHub's anchors: lower case, no punctuation, hyphens for spaces; a repeated one is numbered. */
export function slugger(): (text: string) => string {
  const seen = new Map<string, number>();
  return (text) => {
    const slug = text
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, "")
      .replaceAll(" ", "-");
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return times === 0 ? slug : `${slug}-${times}`;
  };
}

/** Reads a page. `path` is its place in the repository. */
export function readDocument(path: string, source: string): Document {
  const marked = new Marked({ gfm: true });
  const document: Document = { path, title: "", headings: [], links: [], code: [], tables: [] };
  const slugOf = slugger();
  marked.walkTokens(marked.lexer(source), (token) => {
    if (token.type === "heading") {
      const text = plain(token.tokens ?? []);
      document.headings.push({ depth: token.depth, text, slug: slugOf(text) });
      if (document.title === "") document.title = text;
    }
    if (token.type === "link" || token.type === "image") document.links.push({ to: token.href, text: plain(token.tokens ?? []) });
    if (token.type === "code") {
      const [lang = "", ...info] = ((token as Tokens.Code).lang ?? "").split(" ");
      document.code.push({ lang, info: info.join(" "), text: token.text });
    }
    if (token.type === "table") {
      const { header, rows } = token as Tokens.Table;
      const cells = (row: Tokens.TableCell[]) => row.map(({ tokens }) => plain(tokens));
      document.tables.push({ under: document.headings.at(-1)?.text ?? "", header: cells(header), rows: rows.map(cells) });
    }
  });
  return document;
}

/** Where a link of a page leads in the repository: a path and an anchor. Null for what lies elsewhere. */
export function targetOf(page: string, to: string): { path: string; anchor: string } | null {
  if (/^[a-z][a-z0-9+.-]*:/i.test(to)) return null;
  const [before = "", anchor = ""] = to.split("#", 2);
  const path = before === "" ? page : posix.normalize(posix.join(posix.dirname(page), decodeURIComponent(before)));
  return { path: path.replace(/\/$/, ""), anchor };
}

/** How the guide writes a link, and an image. */
export type Writer = { link(to: string, html: string, text: string): string; image(to: string, text: string): string };

/** The page as HTML, without what stands around it. */
export function renderMarkdown(source: string, writer: Writer): string {
  const slugOf = slugger();
  const marked = new Marked({
    gfm: true,
    renderer: {
      heading({ tokens, depth }) {
        const slug = slugOf(plain(tokens));
        return `<h${depth} id="${slug}"><a class="anchor" href="#${slug}">${this.parser.parseInline(tokens)}</a></h${depth}>\n`;
      },
      link({ href, tokens }) {
        return writer.link(href, this.parser.parseInline(tokens), plain(tokens));
      },
      image({ href, text }) {
        return writer.image(href, text);
      },
      code({ text, lang }) {
        const language = (lang ?? "").split(" ")[0] ?? "";
        return `<div class="code"><pre tabindex="0"><code${language === "" ? "" : ` data-language="${escapeHtml(language)}"`}>${escapeHtml(text)}</code></pre></div>\n`;
      },
      table(token) {
        const row = (cells: Tokens.TableCell[], tag: "th" | "td") =>
          `<tr>${cells
            .map(({ tokens }) => {
              const inner = this.parser.parseInline(tokens);
              // A header without words is none to a reader of tables.
              return tag === "th" && inner !== "" ? `<th scope="col">${inner}</th>` : `<td>${inner}</td>`;
            })
            .join("")}</tr>`;
        const body = token.rows.map((cells) => row(cells, "td")).join("\n");
        return `<div class="scroll" tabindex="0"><table><thead>${row(token.header, "th")}</thead><tbody>\n${body}\n</tbody></table></div>\n`;
      },
    },
  });
  return marked.parse(source, { async: false });
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** The words of inline markup, as a reader sees them. */
export function plain(tokens: readonly Token[]): string {
  return tokens
    .map((token) => {
      if ("tokens" in token && token.tokens !== undefined) return plain(token.tokens);
      if (token.type === "br") return " ";
      return unescapeHtml("text" in token ? String(token.text) : "");
    })
    .join("")
    .trim();
}

const ENTITIES: Record<string, string> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" };
const unescapeHtml = (text: string): string => text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity] as string);
