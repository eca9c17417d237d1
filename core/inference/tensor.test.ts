import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_INFER_ROWS, rowsOf, type Tensor } from "./tensor.ts";

const FEATURES = ["delay", "distance"];
const tensor = (over: Partial<Tensor>): Tensor => ({ name: "rows", shape: [2, 2], datatype: "FP32", data: [1, 2, 3, 4], ...over });

describe("rowsOf", () => {
  it("[IT1] reads flat and nested data alike", () => {
    const matrix = fc.array(
      fc.tuple(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.float({ noNaN: true, noDefaultInfinity: true })),
      { minLength: 1, maxLength: 30 },
    );
    fc.assert(
      fc.property(matrix, fc.constantFrom("FP32", "FP64"), (data, datatype) => {
        const shape = [data.length, 2];
        const flat = rowsOf(tensor({ shape, datatype, data: data.flat() }), FEATURES);
        expect(flat).toEqual(rowsOf(tensor({ shape, datatype, data }), FEATURES));
        expect(flat).toEqual({ rows: new Float32Array(data.flat()), n: data.length });
      }),
    );
  });

  it.each<[string, Partial<Tensor>, RegExp]>([
    ["an integer tensor", { datatype: "INT64" }, /datatype INT64/],
    ["bytes", { datatype: "BYTES" }, /FP32 or FP64/],
    ["one dimension", { shape: [4] }, /shape \[4\].*\[n, 2\]: delay, distance/],
    ["three dimensions", { shape: [1, 2, 2] }, /shape \[1, 2, 2\]/],
    ["another width", { shape: [1, 4] }, /shape \[1, 4\]/],
    ["no rows", { shape: [0, 2], data: [] }, /no rows/],
    ["too few values", { data: [1, 2, 3] }, /3 values.*needs 4/],
    ["too many values", { data: [1, 2, 3, 4, 5] }, /5 values/],
    ["too few nested rows", { data: [[1, 2]] }, /1 rows in data/],
    ["a ragged row", { data: [[1, 2], [3]] }, /row 1/],
    ["flat after nested", { data: [[1, 2], 3] }, /row 1/],
    ["null, which is JSON's NaN", { data: [1, 2, null, 4] }, /null in row 1, column delay/],
    ["a string", { data: [1, "2", 3, 4] }, /a string in row 0, column distance/],
    ["a boolean", { data: [1, true, 3, 4] }, /true in row 0/],
    ["nested where flat began", { data: [1, [2], 3, 4] }, /a list in row 0/],
    ["an infinity", { data: [1, 2, 3, Number.POSITIVE_INFINITY] }, /Infinity in row 1, column distance/],
    ["what FP32 cannot hold", { data: [1, 2, 3, 1e39] }, /1e\+39 in row 1.*send FP64/],
  ])("[IT2] refuses %s", (_, over, sentence) => {
    expect(() => rowsOf(tensor(over), FEATURES)).toThrow(
      expect.objectContaining({ code: "bad_request", message: expect.stringMatching(sentence) }),
    );
  });

  it("[IT1] refuses more rows than a request may have, before it reads them", () => {
    expect(() => rowsOf(tensor({ shape: [MAX_INFER_ROWS + 1, 2], data: [] }), FEATURES)).toThrow(
      expect.objectContaining({ code: "too_large" }),
    );
    expect(() => rowsOf(tensor({ shape: [2 ** 31, 2], data: [] }), FEATURES)).toThrow(expect.objectContaining({ code: "too_large" }));
  });

  it("[IT3] lets FP64 overflow to an infinity", () => {
    expect([...rowsOf(tensor({ datatype: "FP64", data: [1e39, -1e39, 3, 4] }), FEATURES).rows]).toEqual([
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      3,
      4,
    ]);
  });
});
