import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { varintSize } from "./bytes.ts";
import { decodeRow, encodeRows, type JournalEntry, NOTHING } from "./rows.ts";

const sizes = fc.array(fc.record({ size: fc.nat(700), count: fc.integer({ min: 1, max: 300 }) }), { minLength: 1, maxLength: 40 });

function entriesOf(shape: { size: number; count: number }[]): JournalEntry[] {
  let position = 5;
  return shape.map(({ size, count }, i) => {
    const entry = { position, count, bytes: new Uint8Array(size).fill(i) };
    position += count;
    return entry;
  });
}

describe("[J5] packing", () => {
  it("[J5] gives back every entry, in rows within the limit", () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 128, max: 900 }), (shape, limit) => {
        const entries = entriesOf(shape);
        const { rows, after } = encodeRows(entries, NOTHING, limit);
        expect(after).toEqual({ rows: rows.length, bytes: shape.reduce((sum, { size }) => sum + size, 0), entries: entries.length });
        const read: JournalEntry[] = [];
        let pieces: number[] = [];
        for (const row of rows) {
          expect(row.bytes.length).toBeLessThanOrEqual(limit);
          const content = decodeRow(row);
          if (content.kind === "packed") read.push(...content.entries);
          else {
            pieces.push(...content.bytes);
            if (row.part + 1 < content.parts) continue;
            read.push({ position: row.first, count: row.last + 1 - row.first, bytes: Uint8Array.from(pieces) });
            pieces = [];
          }
        }
        expect(read.map((entry) => ({ ...entry, bytes: [...entry.bytes] }))).toEqual(
          entries.map((entry) => ({ ...entry, bytes: [...entry.bytes] })),
        );
      }),
    );
  });

  it("[J5] never leaves room in a row for the entry that opens the next", () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 128, max: 900 }), (shape, limit) => {
        const { rows } = encodeRows(entriesOf(shape), NOTHING, limit);
        for (let i = 1; i < rows.length; i++) {
          const [left, right] = [decodeRow(rows[i - 1]!), decodeRow(rows[i]!)];
          if (left.kind !== "packed" || right.kind !== "packed") continue;
          const { count, bytes } = right.entries[0]!;
          // 80 bytes are set aside for the header, of which a row may use less.
          const used = left.entries.reduce((sum, entry) => sum + sizeOf(entry), 80);
          expect(used + sizeOf({ count, bytes })).toBeGreaterThan(limit);
        }
      }),
    );
  });
});

function sizeOf({ count, bytes }: Pick<JournalEntry, "count" | "bytes">): number {
  return varintSize(count) + varintSize(bytes.length) + bytes.length;
}
