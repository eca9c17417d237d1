import type { Options } from "minisearch";

/** What the index keeps of a section: where it is, what it is called, and the beginning of what it says. */
export type Hit = { id: number; url: string; page: string; heading: string; text: string; shown: string };

/** For building the index and for reading it: an index is only understood with the options it was made with. */
export const SEARCH_OPTIONS: Options<Hit> = {
  fields: ["heading", "page", "text"],
  storeFields: ["url", "page", "heading", "shown"],
  searchOptions: {
    boost: { heading: 4, page: 2 },
    prefix: (term) => term.length > 1,
    fuzzy: (term) => (term.length > 4 ? 0.2 : false),
    combineWith: "AND",
  },
};
