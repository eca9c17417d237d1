import { expect } from "vitest";
import { Journal, planOffload } from "../../core/journal/journal.ts";
import type { JournalStorage } from "../../core/journal/port.ts";
import golden from "../golden/journal-v1.golden.json" with { type: "json" };

/** A stored journal, bytes in hexadecimal. */
export type Golden = {
  rows: { first: number; last: number; part: number; checksum: number; bytes: string }[];
  blobs: Record<string, string>;
};

const MAX_ROW_BYTES = 256;
const entry = (i: number) => Uint8Array.from({ length: (i * 37) % 90 }, (_, k) => (i * 31 + k) % 256);
const large = Uint8Array.from({ length: 700 }, (_, k) => k % 251);

/**
 * The history behind the golden file: packed rows, a split entry, a checkpoint of several chunks in the middle of a
 * row, a segment that left, rows that were trimmed, a suffix cut off. Never change it: format 1 is written once.
 */
export function writeGolden(storage: JournalStorage): void {
  const journal = Journal.open(storage, { maxRowBytes: MAX_ROW_BYTES, payload: { version: 4 } });
  for (let i = 0; i < 20; i++) journal.stage(entry(i), 1 + (i % 3));
  journal.commit();
  journal.stage(large, 5);
  journal.stage(entry(21), 300);
  journal.commit();
  for (let i = 22; i < 30; i++) journal.stage(entry(i));
  journal.commit();
  journal.truncateFrom(journal.head - 3);
  journal.checkpoint(27, large);
  const plan = planOffload(journal, { minBytes: 200 })!;
  journal.markOffloaded(plan, `v1/main/global/streams/golden/${plan.key}`);
  journal.trim(27);
}

export function dumpGolden(storage: JournalStorage): Golden {
  const rows = storage.rows(0, 0, Number.MAX_SAFE_INTEGER).map((row) => ({ ...row, bytes: hex(row.bytes) }));
  const blobs = Object.fromEntries(storage.listBlobs("").map((key) => [key, hex(storage.getBlob(key)!)]));
  return { rows, blobs };
}

/** Loads the golden file and expects what {@link writeGolden} had written, by what can be read and not by its bytes. */
export function checkGolden(fresh: () => JournalStorage): void {
  const storage = fresh();
  for (const row of golden.rows) storage.putRow({ ...row, bytes: unhex(row.bytes) });
  for (const [key, bytes] of Object.entries(golden.blobs)) storage.putBlob(key, unhex(bytes));
  const journal = Journal.open(fresh(), { maxRowBytes: MAX_ROW_BYTES, payload: { version: 4 } });
  expect([journal.base, journal.head]).toEqual([25, 349]);
  const read = journal.read(25);
  const expected = [
    ...Array.from({ length: 7 }, (_, k) => [entry(k + 13), 1 + ((k + 13) % 3)] as const),
    [large, 5] as const,
    [entry(21), 300] as const,
  ];
  for (let i = 22; i < 27; i++) expected.push([entry(i), 1]);
  expect(read.map(({ bytes, count }) => [hex(bytes), count])).toEqual(expected.map(([bytes, count]) => [hex(bytes), count]));
  expect(journal.latestCheckpoint()).toEqual({ position: 27, bytes: large });
  expect(journal.costSinceCheckpoint()).toEqual({ rows: 10, bytes: 1300, entries: 13 });
  const [segment, ...others] = journal.segments();
  expect(others).toEqual([]);
  expect(segment).toMatchObject({ from: 0, to: 13, key: expect.stringMatching(/^v1\/main\/global\/streams\/golden\/0000000000000000-/) });
  expect(journal.locate(0)).toEqual({ kind: "archived", segment });
  // It is a journal like any other: it goes on.
  journal.stage(entry(1));
  expect(journal.commit().head).toBe(350);
}

const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
