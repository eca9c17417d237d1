import fc from "fast-check";
import { expect, it } from "vitest";
import { command } from "../../../test/contract/kv-arbitrary.ts";
import { crc32c } from "../../journal/crc32c.ts";
import { errorOf } from "../../wire/errors.ts";
import { KvStore } from "./store.ts";

const snapshots = fc.array(command, { maxLength: 25, size: "max" }).map((commands) => {
  const store = new KvStore();
  for (const each of commands) store.apply(each);
  return store.snapshot();
});

function codeOf(bytes: Uint8Array): string | null {
  try {
    KvStore.restore(bytes);
    return null;
  } catch (error) {
    expect(error).toHaveProperty("code");
    return errorOf(error).code;
  }
}

function checksummed(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(bytes.length - 4, crc32c(bytes.subarray(0, -4)), true);
  return bytes;
}

it("[KV8] a damaged or shortened snapshot is corrupt", () => {
  const damaged = fc.tuple(snapshots, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean()).map(([bytes, at, change, cut]) => {
    if (cut) return bytes.subarray(0, at % bytes.length);
    bytes[1 + (at % (bytes.length - 1))]! ^= change;
    return bytes;
  });
  fc.assert(
    fc.property(damaged, (bytes) => {
      expect(codeOf(bytes)).toBe("corrupt");
    }),
    { numRuns: 500 },
  );
});

it("[KV8] one whose checksum fits is read as some state or is corrupt, and nothing else happens", () => {
  const forged = fc.tuple(snapshots, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 })).map(([bytes, changes]) => {
    for (const [at, byte] of changes) bytes[1 + (at % (bytes.length - 5))] = byte;
    return checksummed(bytes);
  });
  fc.assert(
    fc.property(forged, (bytes) => {
      expect([null, "corrupt"]).toContain(codeOf(bytes));
    }),
    { numRuns: 1500 },
  );
});

it("[KV8] one of a later version says so", () => {
  const bytes = new KvStore().snapshot();
  bytes[0] = 2;
  expect(codeOf(checksummed(bytes))).toBe("newer_format");
});

it("[KV8] keys share their beginnings, so a snapshot is smaller than what it holds", () => {
  const store = new KvStore();
  for (let i = 0; i < 1000; i++) {
    const request = { key: `/registry/pods/default/pod-${i}`, value: "", lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
    store.apply({ operation: { op: "put", request }, at: 0, session: null });
  }
  expect(store.snapshot().length / 1000).toBeLessThan(12);
});
