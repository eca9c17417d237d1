import type { EntryKind, EntryRecord, EntryStore, Told } from "../../wire/directory-rules.ts";
import { SkerryError } from "../../wire/errors.ts";
import type { ByteString, RangeRequest } from "../kv/types.ts";
import type { Ask, Told as Value } from "../replica/types.ts";

/** What a group answers, with where it stands. */
export type AskGroup = (ask: Ask) => Promise<Told & { value: Value }>;

/** Names a list reads at once; deleted ones among them are left out. */
const PAGE = 1_000;

/**
 * The directory's entries as keys of a group: `directory/{kind}/{name}` in UTF-8, so that they come in the order of names, each with
 * the JSON of its record. A key is put once for each version of its entry and never deleted, so the key's own version is the
 * entry's, and a transaction that compares it is all it takes to go live.
 */
export class GroupEntries implements EntryStore {
  readonly #ask: AskGroup;

  constructor(ask: AskGroup) {
    this.#ask = ask;
  }

  async get(kind: EntryKind, name: string): Promise<Told & { value: EntryRecord | null }> {
    const { kvs, told } = await this.#range(keyOf(kind, name), "", 1);
    const [found] = kvs;
    return { ...told, value: found === undefined ? null : recordOf(found) };
  }

  async put(entry: EntryRecord): Promise<Told & { value: boolean }> {
    const key = keyOf(entry.kind, entry.name);
    const put = { key, value: utf8(JSON.stringify(entry)), lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
    const answered = await this.#ask({
      ask: "write",
      operation: {
        op: "txn",
        request: {
          compare: [{ result: "equal", key, rangeEnd: "", target: "version", value: entry.version - 1 }],
          success: [{ op: "put", request: put }],
          failure: [],
        },
      },
      // A write whose outcome is unknown is read before it is tried again: the versions tell.
      session: null,
    });
    if (answered.value.told !== "write" || answered.value.result.op !== "txn") throw unexpected();
    return { ...answered, value: answered.value.result.response.succeeded };
  }

  async list(kind: EntryKind, after: string | null, limit: number): Promise<Told & { value: EntryRecord[] }> {
    const prefix = `directory/${kind}/`;
    const end = `directory/${kind}0`;
    const found: EntryRecord[] = [];
    let from = after === null ? prefix : `${keyOf(kind, after)}\0`;
    for (;;) {
      const { kvs, more, told } = await this.#range(from, end, PAGE);
      for (const kv of kvs) {
        const record = recordOf(kv);
        if (record.deletedAt === null) found.push(record);
      }
      const last = kvs.at(-1);
      if (found.length >= limit || !more || last === undefined) return { ...told, value: found.slice(0, limit) };
      from = `${last.key}\0`;
    }
  }

  async #range(key: ByteString, rangeEnd: ByteString, limit: number) {
    const bounds = { minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 };
    const plain = { revision: 0, sortOrder: "none", sortTarget: "key", serializable: false, keysOnly: false, countOnly: false } as const;
    const request: RangeRequest = { key, rangeEnd, limit, ...plain, ...bounds };
    const told = await this.#ask({ ask: "range", request, read: { level: "linearizable" }, after: 0 });
    if (told.value.told !== "range") throw unexpected();
    const { kvs, more } = told.value.response;
    return { kvs, more, told };
  }
}

function keyOf(kind: EntryKind, name: string): ByteString {
  return `directory/${kind}/${utf8(name)}`;
}

function recordOf({ value }: { value: ByteString }): EntryRecord {
  return JSON.parse(new TextDecoder("utf-8").decode(Uint8Array.from(value, (byte) => byte.charCodeAt(0)))) as EntryRecord;
}

function utf8(text: string): ByteString {
  let bytes = "";
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

function unexpected(): SkerryError {
  return new SkerryError("internal", "The group of the directory answered another question.");
}
