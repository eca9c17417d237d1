import { SkerryError } from "../wire/errors.ts";
import { Reader, varintSize, Writer } from "./bytes.ts";
import { crc32c } from "./crc32c.ts";
import { corrupt, newerFormat } from "./errors.ts";
import type { JournalStorage } from "./port.ts";
import { readTotals, type Totals, writeTotals } from "./rows.ts";

/** The format of rows and blobs that this code writes. A change of it needs a migration below and a new golden file. */
export const FORMAT = 1;
/** Key of the head record. It, its checksum, its magic and the place of the format number never change. */
export const HEAD_KEY = "_meta";
const MAGIC = [0x53, 0x4b, 0x4a]; // "SKJ"

/**
 * What the log itself cannot tell: where it begins. Written at the first change and when the beginning moves, never by
 * a commit. `payload` is the caller's own version of what is in the entries.
 */
export type Head = { payload: number; base: number; before: Totals };
/** Rewrites what is stored from one format to the next, the head record included. */
export type Migration = (storage: JournalStorage) => void;

/** `MIGRATIONS[n]` leads from format n to n + 1. */
const MIGRATIONS: Readonly<Record<number, Migration>> = {};

/** The head record, or null where nothing was ever written. Throws `corrupt`, or `newer_format`. */
export function readHead(storage: JournalStorage): Head | null {
  const stored = storage.getBlob(HEAD_KEY);
  if (stored === null) return null;
  const { format, body } = openHead(stored);
  if (format !== FORMAT) throw corrupt(`The journal's head record has format ${format}, which this code does not know.`, { format });
  const head = { payload: body.varint(), base: body.varint(), before: readTotals(body) };
  body.end();
  return head;
}

export function writeHead(storage: JournalStorage, head: Head): void {
  const writer = new Writer(64);
  writer.varint(head.payload);
  writer.varint(head.base);
  writeTotals(writer, head.before);
  storage.putBlob(HEAD_KEY, sealHead(FORMAT, writer.done()));
}

/** A head record of any format: checksum, magic, format number, and a body that the format defines. */
export function sealHead(format: number, body: Uint8Array): Uint8Array {
  const writer = new Writer(4 + MAGIC.length + varintSize(format) + body.length);
  writer.at = 4;
  writer.raw(new Uint8Array(MAGIC));
  writer.varint(format);
  writer.raw(body);
  writer.at = 0;
  writer.u32(crc32c(writer.bytes.subarray(4)));
  return writer.bytes;
}

/**
 * Brings what is stored up to `current`, one format after the other, in one transaction: all the way or not at all.
 * Does nothing where nothing was ever written. `current` and `migrations` are arguments for the sake of the tests.
 */
export function migrate(storage: JournalStorage, current = FORMAT, migrations = MIGRATIONS): void {
  const stored = storage.getBlob(HEAD_KEY);
  if (stored === null) return;
  const { format } = openHead(stored);
  if (format > current) throw newerFormat("The journal", format, current);
  if (format === current) return;
  storage.transaction(() => {
    for (let from = format; from < current; from++) {
      const step = migrations[from];
      if (step === undefined) throw corrupt(`The journal has format ${from}, from which no migration leads on.`, { format: from });
      step(storage);
      const reached = openHead(storage.getBlob(HEAD_KEY) ?? new Uint8Array()).format;
      if (reached !== from + 1) throw new SkerryError("internal", `The migration from format ${from} left format ${reached}.`);
    }
  });
}

function openHead(stored: Uint8Array): { format: number; body: Reader } {
  const body = new Reader(stored, "The journal's head record");
  if (body.u32() !== crc32c(stored.subarray(4))) throw corrupt("The journal's head record failed its checksum.");
  const magic = body.raw(MAGIC.length);
  if (MAGIC.some((byte, i) => magic[i] !== byte)) throw corrupt("The journal's head record is not one.");
  return { format: body.varint(), body };
}
