import { describe, expect, it } from "vitest";
import type { ResponseOp } from "../kv/types.ts";
import type { Told } from "../replica/types.ts";
import { checkAnswer } from "./answer-size.ts";

const header = { revision: 5 };
const kv = { key: "k", value: "v".repeat(1_000_000), createRevision: 1, modRevision: 1, version: 1, lease: 0n };
const range: ResponseOp = { op: "range", response: { header, kvs: [kv], more: false, count: 1 } };
const txn = (responses: ResponseOp[]): Extract<ResponseOp, { op: "txn" }> => ({
  op: "txn",
  response: { header, succeeded: true, responses },
});
const told = (responses: ResponseOp[]): Told => ({ told: "write", result: txn(responses) });

describe("an answer of the gateway", () => {
  it("may be as large as what a group holds, and no larger, however deep it is", () => {
    checkAnswer(told(Array(33).fill(range)));
    const refused = { grpc: 8, message: expect.stringMatching(/^The transaction was done; .* 33554432 may be sent\./) };
    for (const responses of [Array(34).fill(range), [txn(Array(17).fill(range)), txn([txn(Array(17).fill(range))])]])
      expect(() => checkAnswer(told(responses))).toThrow(expect.objectContaining(refused));
    const previous: ResponseOp[] = [
      { op: "put", response: { header, prevKv: kv } },
      { op: "deleteRange", response: { header, deleted: 33, prevKvs: Array(33).fill(kv) } },
    ];
    expect(() => checkAnswer(told(previous))).toThrow(expect.objectContaining(refused));
  });

  it("without values of its own has no size", () => {
    checkAnswer(told([{ op: "put", response: { header, prevKv: null } }]));
    checkAnswer({ told: "leases", response: { header, ids: [1n] } });
  });
});
