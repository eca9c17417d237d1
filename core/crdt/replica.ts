import { equalityDeep } from "lib0/function";
import * as Y from "yjs";
import { SkerryError } from "../wire/errors.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A new value for some keys of a shared map, and keys to delete. */
export type MapPatch = { map: string; set: Record<string, Json>; delete: string[] };

/** No client has it; see {@link Replica.patch}. */
const NOBODY = 0;

/**
 * The document as a Y.Doc, made only where one is needed: to write from the server, to read JSON, to compact. Its heap
 * is about twelve times the encoding.
 */
export class Replica {
  readonly #doc: Y.Doc;

  /** Throws what Yjs throws where the update, though well-formed, cannot be applied. */
  constructor(update: Uint8Array) {
    // The guid and client id that Yjs would draw at random are never seen outside: nothing here depends on chance.
    this.#doc = new Y.Doc({ guid: "room" });
    this.#doc.clientID = NOBODY;
    Y.applyUpdate(this.#doc, update);
  }

  apply(update: Uint8Array): void {
    Y.applyUpdate(this.#doc, update);
  }

  /** The whole state, garbage collected, with what still waits for missing updates. */
  encode(): Uint8Array {
    return Y.encodeStateAsUpdate(this.#doc);
  }

  /**
   * Writes what differs as client `author`, in one transaction; returns the update, or null if nothing differs.
   *
   * Identity: all server writes of one epoch of a room share one author, so that a million writes do not leave a million
   * clients in the state vector. That is sound only because
   * 1. the clock goes on from the document itself: Yjs takes the next clock of `author` from what is stored, so a
   *    restarted server continues, provided everything it ever sent under this id was stored first. Hence the caller
   *    commits the update before it sends it (SPEC [RM12]).
   * 2. no client can have the id: clients draw 32 bits, authors lie above that.
   * 3. a new epoch (after the room was erased) has a new author: old clients may still hold what the old one wrote.
   * The id is set only for the transaction: a Y.Doc that sees its own id in foreign updates would draw a new one.
   */
  patch({ map: name, set, delete: gone }: MapPatch, author: number): Uint8Array | null {
    const map = this.#doc.getMap(name);
    const updates: Uint8Array[] = [];
    const collect = (update: Uint8Array) => updates.push(update);
    this.#doc.on("update", collect);
    this.#doc.clientID = author;
    try {
      this.#doc.transact(() => {
        for (const [key, value] of Object.entries(set)) if (!map.has(key) || !equalityDeep(map.get(key), value)) map.set(key, value);
        for (const key of gone) if (map.has(key)) map.delete(key);
      });
    } finally {
      this.#doc.clientID = NOBODY;
      this.#doc.off("update", collect);
    }
    return updates.length === 0 ? null : Y.mergeUpdates(updates);
  }

  /**
   * All shared types as JSON text: `{"name": …}`. The kind of a root type is not stored, only what is in it: keys make
   * it a map, characters or formats a text, XML nodes a fragment, and anything else an array.
   */
  json(): string {
    try {
      const roots: Record<string, unknown> = Object.create(null);
      for (const [name, type] of [...this.#doc.share].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const value = rootJson(type);
        if (value !== undefined) roots[name] = value;
      }
      return JSON.stringify(roots, (_key, value) => (typeof value === "bigint" ? value.toString() : value));
    } catch (cause) {
      if (cause instanceof RangeError)
        throw new SkerryError("too_large", "The document is nested too deeply to be read as JSON.", { cause });
      throw cause;
    }
  }
}

const MAX_PATCH_ENTRIES = 10_000;
const MAX_PATCH_BYTES = 1024 * 1024;

/** Throws `bad_request` or `too_large`: a patch comes over RPC, where no schema has checked it. */
export function checkPatch(patch: MapPatch, source: string, seq: number): void {
  if (typeof source !== "string" || source === "" || source.length > MAX_NAME_LENGTH)
    throw bad("source", `a name of 1 to ${MAX_NAME_LENGTH} characters`);
  if (!Number.isSafeInteger(seq) || seq < 0) throw bad("seq", "a whole number from 0");
  const { map, set, delete: gone } = patch;
  if (typeof map !== "string" || map === "" || map.length > MAX_NAME_LENGTH)
    throw bad("map", `a name of 1 to ${MAX_NAME_LENGTH} characters`);
  if (typeof set !== "object" || set === null || Array.isArray(set)) throw bad("set", "an object of JSON values");
  if (!Array.isArray(gone) || gone.some((key) => typeof key !== "string")) throw bad("delete", "an array of keys");
  if (Object.keys(set).length + gone.length > MAX_PATCH_ENTRIES)
    throw new SkerryError("too_large", `A write changes at most ${MAX_PATCH_ENTRIES} entries.`);
  if (JSON.stringify(set).length > MAX_PATCH_BYTES) throw new SkerryError("too_large", `A write holds at most ${MAX_PATCH_BYTES} bytes.`);
}

/** A source is the name of a task, in which every part is percent-encoded. */
const MAX_NAME_LENGTH = 2_048;

function bad(what: string, wanted: string): SkerryError {
  return new SkerryError("bad_request", `"${what}" of a write to a room must be ${wanted}.`);
}

/** Where every shared type, of whatever kind, keeps its keys and its list. */
type Shared = Pick<Y.AbstractType<unknown>, "_map" | "_start">;

function rootJson(type: Shared): unknown {
  const items = [...listItems(type)];
  if (items.length === 0) return type._map.size > 0 ? mapJson(type) : undefined;
  const contents = items.map((item) => item.content);
  if (contents.some((content) => content instanceof Y.ContentType && isXml(content.type))) return contents.map(xmlText).join("");
  if (contents.every(isText)) return textOf(contents);
  return contents.flatMap((content) => content.getContent().map(valueJson));
}

function valueJson(value: unknown): unknown {
  if (value instanceof Y.Doc) return { subdocument: value.guid };
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (!(value instanceof Y.AbstractType)) return value === undefined ? null : value;
  if (value instanceof Y.Map) return mapJson(value);
  if (value instanceof Y.Array) return [...listItems(value)].flatMap((item) => item.content.getContent().map(valueJson));
  if (isXml(value)) return value.toString();
  return textOf([...listItems(value)].map((item) => item.content));
}

function mapJson(type: Shared): Record<string, unknown> {
  const object: Record<string, unknown> = Object.create(null);
  for (const [key, item] of type._map) if (!item.deleted) object[key] = valueJson(item.content.getContent()[item.length - 1]);
  return object;
}

function* listItems(type: Shared): Generator<Y.Item> {
  for (let item = type._start; item !== null; item = item.right) if (!item.deleted) yield item;
}

function isText(content: Y.Item["content"]): boolean {
  return content instanceof Y.ContentString || content instanceof Y.ContentFormat || content instanceof Y.ContentEmbed;
}

function textOf(contents: readonly Y.Item["content"][]): string {
  return contents.map((content) => (content instanceof Y.ContentString ? content.str : "")).join("");
}

function isXml(type: unknown): boolean {
  return type instanceof Y.XmlFragment || type instanceof Y.XmlText || type instanceof Y.XmlHook;
}

function xmlText(content: Y.Item["content"]): string {
  return content instanceof Y.ContentType ? content.type.toString() : textOf([content]);
}
