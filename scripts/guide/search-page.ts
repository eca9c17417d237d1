// The search of the guide, in the browser: a dialog over an index that was built with the pages. Opened by its button,
// by "/" or by Ctrl+K; arrows go through what was found, Enter follows it, Escape closes.
import MiniSearch, { type SearchResult } from "minisearch";
import { type Hit, SEARCH_OPTIONS } from "./search-options.ts";

type Found = SearchResult & Pick<Hit, "url" | "page" | "heading" | "shown">;

const MAX_HITS = 20;
/** Characters around the first word that was found. */
const BEFORE = 60;
const AROUND = 180;

const button = document.getElementById("find") as HTMLButtonElement;
let dialog: Dialog | null = null;
button.hidden = false;
button.addEventListener("click", open);
addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLElement && event.target.closest("input, textarea, select, [contenteditable]") !== null;
  const asked =
    (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) || (event.key === "k" && (event.ctrlKey || event.metaKey));
  if (!asked) return;
  event.preventDefault();
  open();
});

function open(): void {
  dialog ??= makeDialog();
  dialog.open();
}

type Dialog = { open(): void };

function makeDialog(): Dialog {
  const element = document.createElement("dialog");
  element.className = "search";
  element.setAttribute("aria-label", "Search the guide");
  element.innerHTML = `<form role="search" method="dialog">
<input type="search" aria-label="Search the guide" aria-describedby="search-state" placeholder="Search the guide" autocomplete="off" spellcheck="false">
<button type="button">Close</button>
</form>
<p id="search-state" role="status"></p>
<ul class="hits" aria-label="Found"></ul>`;
  document.body.append(element);
  const input = element.querySelector("input") as HTMLInputElement;
  const state = element.querySelector("p") as HTMLParagraphElement;
  const list = element.querySelector("ul") as HTMLUListElement;
  let index: MiniSearch<Hit> | null = null;

  const show = () => {
    const words = input.value.trim();
    if (index === null) return;
    const found = words === "" ? [] : find(index, words);
    list.replaceChildren(...found.slice(0, MAX_HITS).map(hit));
    state.textContent = words === "" ? "" : said(found.length);
  };
  const load = async () => {
    state.textContent = "Loading …";
    try {
      const response = await fetch("/guide/search.json");
      if (!response.ok) throw new Error(`status ${response.status}`);
      index = MiniSearch.loadJSON<Hit>(await response.text(), SEARCH_OPTIONS);
      state.textContent = "";
      show();
    } catch {
      state.textContent = "The index could not be loaded. Open the search again to try again.";
    }
  };

  input.addEventListener("input", show);
  element.querySelector("button")!.addEventListener("click", () => element.close());
  element.querySelector("form")!.addEventListener("submit", (event) => {
    event.preventDefault();
    list.querySelector("a")?.click();
  });
  // A click beside the dialog is one on its backdrop.
  element.addEventListener("click", (event) => event.target === element && element.close());
  // A link into the page that is open leads there without loading it anew.
  list.addEventListener("click", (event) => (event.target as HTMLElement).closest("a") !== null && element.close());
  element.addEventListener("keydown", (event) => {
    // A search field would only be emptied by it.
    if (event.key === "Escape") element.close();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const stations = [input, ...Array.from(list.querySelectorAll("a"))];
    const at = stations.indexOf(document.activeElement as HTMLInputElement);
    stations[Math.max(0, Math.min(stations.length - 1, at + step))]?.focus();
  });
  return {
    open: () => {
      if (!element.open) element.showModal();
      input.focus();
      input.select();
      if (index === null) void load();
    },
  };
}

/** Sections with all the words; where there is none, those with some. */
function find(index: MiniSearch<Hit>, words: string): Found[] {
  const all = index.search(words) as Found[];
  return all.length > 0 ? all : (index.search(words, { combineWith: "OR" }) as Found[]);
}

function said(count: number): string {
  if (count === 0) return "Nothing found.";
  return count === 1 ? "1 place" : `${count > MAX_HITS ? `The first ${MAX_HITS} of ${count}` : count} places`;
}

function hit({ url, page, heading, shown, terms }: Found): HTMLLIElement {
  const link = document.createElement("a");
  link.href = url;
  const title = document.createElement("b");
  title.append(...marked(heading, terms));
  const place = document.createElement("small");
  place.textContent = page === heading ? "" : page;
  const text = document.createElement("span");
  text.append(...marked(excerpt(shown, terms), terms));
  link.append(title, " ", place, text);
  const item = document.createElement("li");
  item.append(link);
  return item;
}

/** What stands around the first word that was found. */
function excerpt(text: string, terms: readonly string[]): string {
  const at = Math.max(0, text.search(wordsOf(terms)));
  const from = at <= BEFORE ? 0 : text.indexOf(" ", at - BEFORE) + 1;
  const end = from + AROUND >= text.length ? text.length : text.lastIndexOf(" ", from + AROUND);
  return `${from > 0 ? "… " : ""}${text.slice(from, end)}${end < text.length ? " …" : ""}`;
}

/** The text with the words that were found marked, made of nodes: nothing of an index is ever read as markup. */
function marked(text: string, terms: readonly string[]): (string | HTMLElement)[] {
  return text.split(wordsOf(terms)).map((part, at) => {
    if (at % 2 === 0) return part;
    const mark = document.createElement("mark");
    mark.textContent = part;
    return mark;
  });
}

function wordsOf(terms: readonly string[]): RegExp {
  const words = terms.map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).sort((a, b) => b.length - a.length);
  return new RegExp(`(${words.join("|")})`, "iu");
}
