import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { artifact, golden, instantiate, module, reseal } from "../../test/golden/forest.fixture.ts";
import { SkerryError } from "../wire/errors.ts";
import { Forest } from "./forest.ts";
import { MAX_ROWS } from "./port.ts";

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof SkerryError) return error.code;
    throw error;
  }
  return "none";
};

const float = fc.float({ noNaN: true });

describe("Forest", () => {
  const forest = Forest.load(instantiate(), artifact);
  const d = forest.features.length;

  it("[IF3] keeps NaN to its own row", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(float, { minLength: d, maxLength: d }), { minLength: 2, maxLength: 20 }),
        fc.nat(),
        fc.nat(),
        (matrix, row, column) => {
          const rows = new Float32Array(matrix.flat());
          const clean = forest.score(rows, matrix.length);
          rows[(row % matrix.length) * d + (column % d)] = Number.NaN;
          const scores = forest.score(rows, matrix.length);
          for (let i = 0; i < matrix.length; i++) expect(scores[i]).toBe(i === row % matrix.length ? Number.NaN : clean[i]);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("[IF4] gives a row the same bits alone, among others, and across windows of memory", () => {
    const n = 20_011;
    const rows = Float32Array.from({ length: n * d }, (_, i) => golden.rows[Math.floor(i / d) % golden.rows.length]?.[i % d] as number);
    const scores = forest.score(rows, n);
    for (const i of [0, 1, 255, 256, 4095, 4096, 8191, n - 2, n - 1])
      expect(scores[i]).toBe(forest.score(rows.slice(i * d, (i + 1) * d), 1)[0]);
    expect(forest.score(new Float32Array(0), 0)).toHaveLength(0);
  });

  it("[IF5] refuses wrong shapes and more than it may hold", () => {
    expect(codeOf(() => forest.score(new Float32Array(7), 2))).toBe("bad_request");
    expect(codeOf(() => forest.score(new Float32Array(0), -1))).toBe("bad_request");
    expect(codeOf(() => forest.score(new Float32Array(6), 1.5))).toBe("bad_request");
    expect(codeOf(() => forest.score(new Float32Array(0), MAX_ROWS + 1))).toBe("too_large");
    expect(codeOf(() => Forest.load(instantiate(), new Uint8Array(9 * 1024 * 1024)))).toBe("too_large");
  });

  it("[IA1] refuses every truncation and every changed byte", () => {
    const exports = instantiate();
    fc.assert(
      fc.property(fc.nat(artifact.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = artifact.slice();
        damaged[at] = (damaged[at] as number) ^ flip;
        expect(codeOf(() => Forest.load(exports, damaged))).toBe("bad_model");
        expect(codeOf(() => Forest.load(exports, artifact.slice(0, at)))).toBe("bad_model");
      }),
      { numRuns: 200 },
    );
  });

  it("[IA2] meets malice with a refusal or a score, never a trap", () => {
    const exports = instantiate();
    const edits = fc.array(fc.tuple(fc.oneof(fc.nat(31), fc.nat(artifact.length - 5)), fc.nat(255)), { minLength: 1, maxLength: 4 });
    const seen = { refused: 0, scored: 0 };
    fc.assert(
      fc.property(edits, (list) => {
        const changed = artifact.slice();
        for (const [at, byte] of list) changed[at] = byte;
        let loaded: Forest;
        try {
          loaded = Forest.load(exports, reseal(changed));
        } catch (error) {
          expect((error as SkerryError).code).toBe("bad_model");
          seen.refused++;
          return;
        }
        const width = loaded.features.length;
        for (const score of loaded.score(new Float32Array(golden.rows.slice(0, 9).flat()).subarray(0, 9 * width), 9)) {
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1);
        }
        loaded.free();
        seen.scored++;
      }),
      { numRuns: 400 },
    );
    expect(Math.min(seen.refused, seen.scored)).toBeGreaterThan(20);
  });

  it("[IA2] reads metadata with suspicion", () => {
    const start = 32;
    const withMetadata = (edit: (json: string) => string) => {
      const length = new DataView(artifact.buffer, artifact.byteOffset).getUint32(20, true);
      const text = new TextDecoder().decode(artifact.subarray(start, start + length));
      const changed = artifact.slice();
      changed.set(new TextEncoder().encode(edit(text).padEnd(length).slice(0, length)), start);
      return reseal(changed);
    };
    expect(
      Forest.load(
        instantiate(),
        withMetadata((text) => text),
      ).name,
    ).toBe("flight-forest");
    for (const edit of [
      () => "no JSON",
      () => "null",
      () => "[]",
      () => '{"name":"x"}',
      () => '{"name":"x","features":["a"]}',
      () => '{"name":1,"features":["a","b","c","d"]}',
    ])
      expect(codeOf(() => Forest.load(instantiate(), withMetadata(edit)))).toBe("bad_model");
  });

  it("[IA3] leaves nothing behind after refusals and frees", () => {
    const exports = instantiate();
    const damaged = artifact.slice();
    damaged[5000] = (damaged[5000] as number) ^ 1;
    Forest.load(exports, artifact).free();
    const before = exports.memory.buffer.byteLength;
    for (let i = 0; i < 200; i++) {
      expect(codeOf(() => Forest.load(exports, damaged))).toBe("bad_model");
      Forest.load(exports, artifact).free();
    }
    expect(exports.memory.buffer.byteLength).toBe(before);
  });
});

describe("the Wasm module", () => {
  it("[IM1] imports nothing", () => {
    expect(WebAssembly.Module.imports(module)).toEqual([]);
  });

  it("[IM2] ends at 32 MiB and goes on", () => {
    const exports = instantiate();
    const loaded = Forest.load(exports, artifact);
    const held: number[] = [];
    for (let at = exports.buffer_alloc(1 << 20); at !== 0; at = exports.buffer_alloc(1 << 20)) held.push(at);
    expect(exports.memory.buffer.byteLength).toBeLessThanOrEqual(32 * 1024 * 1024);
    expect(held.length).toBeGreaterThan(25);
    expect(exports.buffer_alloc(-1)).toBe(0);
    expect(codeOf(() => Forest.load(exports, new Uint8Array(2 << 20)))).toBe("too_large");
    for (const at of held) expect(exports.buffer_free(at)).toBe(0);
    expect(loaded.score(new Float32Array(golden.rows[0] as number[]), 1)[0]).toBeCloseTo(golden.scores[0] as number, 6);
  });

  it("[IM3] answers any numbers with a code", () => {
    const exports = instantiate();
    const at = exports.buffer_alloc(artifact.length);
    new Uint8Array(exports.memory.buffer).set(artifact, at);
    const handle = exports.forest_load(at, artifact.length);
    const number = fc.oneof(
      fc.integer(),
      fc.nat(100),
      fc.constantFrom(at, at + 4, handle, artifact.length, 4, 0, -1, 2 ** 31 - 1, -(2 ** 31)),
    );
    fc.assert(
      fc.property(number, number, number, number, number, (a, b, c, e, f) => {
        expect(exports.forest_score(a, b, c, e, f)).toBeLessThanOrEqual(0);
        if (b !== artifact.length || a !== at) expect(exports.forest_load(a, b)).toBeLessThan(0);
        if (a !== handle) expect(exports.forest_free(a)).toBe(-9);
        if (a !== at) expect(exports.buffer_free(a)).toBe(-10);
      }),
      { numRuns: 2000 },
    );
    expect(exports.forest_features(handle)).toBe(4);
  });
});
