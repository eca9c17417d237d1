import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkerryError } from "../../wire/errors.ts";
import { MAX_TARGET_BYTES } from "../../wire/frames.ts";
import type { Ask } from "../replica/types.ts";
import { readAnswer, readEvent, writeAnswer, writeEvent } from "./answers.ts";
import { answered, ask, bytes, kv } from "./asks.fixture.ts";
import { readBytes, writeBytes } from "./bytes.ts";
import { callError, errorOfCall } from "./call-errors.ts";
import { errorOfKv, errorOfReply } from "./errors.ts";
import { readAsk, readContext, readHint, readHold, rightFor, writeAsk } from "./requests.ts";
import { readTarget, writeTarget } from "./spec.ts";

const overJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof SkerryError) return error.code;
    throw error;
  }
  return "none";
}

describe("the codec of a group's socket", () => {
  it("[GC1] bytes survive, and take no more than text or base64 would", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          bytes,
          fc.uint8Array({ maxLength: 300 }).map((array) => String.fromCharCode(...array)),
        ),
        (value) => {
          const written = writeBytes(value);
          expect(readBytes(overJson(written), "b")).toBe(value);
          const size = new TextEncoder().encode(JSON.stringify(written)).length;
          expect(size).toBeLessThanOrEqual(new TextEncoder().encode(JSON.stringify(value)).length);
          expect(size).toBeLessThanOrEqual(JSON.stringify({ base64: btoa(value) }).length);
        },
      ),
    );
    expect(writeBytes("a plain key")).toBe("a plain key");
    expect(writeBytes("\0".repeat(30))).toEqual({ base64: btoa("\0".repeat(30)) });
  });

  it("[GC2] every request survives being written and read", () => {
    fc.assert(
      fc.property(ask, (value) => void expect(readAsk(overJson(writeAsk(value)))).toEqual(value)),
      { numRuns: 500 },
    );
  });

  it("[GC2] what has its default is left out", () => {
    const put = { key: "k", value: "v", lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
    const session = { client: "c", seq: 7, ack: 5 };
    expect(writeAsk({ ask: "write", operation: { op: "put", request: put }, session })).toEqual({
      put: { key: "k", value: "v" },
      session: ["c", 7, 5],
    });
    expect(readAsk({ range: { key: "k" } })).toMatchObject({ ask: "range", read: { level: "linearizable" }, after: 0 });
  });

  it("[GC8] a context goes with a session read alone", () => {
    const read = { range: { key: "a" }, level: "session" };
    expect([readContext(read), readContext({ ...read, context: "t" })]).toEqual([null, "t"]);
    expect(codeOf(() => readContext({ ...read, context: 7 }))).toBe("bad_request");
    expect(codeOf(() => readContext({ ...read, level: "stale", context: "t" }))).toBe("bad_request");
    expect(codeOf(() => readContext({ put: { key: "k", value: "" }, level: "session", context: "t" }))).toBe("bad_request");
  });

  it("[GH1] a hold is a time beside a keep-alive", () => {
    const keepAlive = { leaseKeepAlive: { id: "7" } };
    expect([readHold(keepAlive), readHold({ ...keepAlive, hold: 0 }), readHold({ ...keepAlive, hold: 1.5 })]).toEqual([null, 0, 1.5]);
    for (const hold of [-1, 601, "1", null, Number.NaN]) expect(codeOf(() => readHold({ ...keepAlive, hold }))).toBe("bad_request");
    expect(codeOf(() => readHold({ put: { key: "k", value: "" }, hold: 1 }))).toBe("bad_request");
  });

  it("[GC3] no payload makes a reader throw anything but bad_request", () => {
    const names = fc.constantFrom(
      "key",
      "put",
      "txn",
      "session",
      "level",
      "range",
      "id",
      "compare",
      "success",
      "demand",
      "hold",
      "context",
    );
    const near = fc.tuple(ask, names, fc.jsonValue(), fc.boolean()).map(([value, name, other, outside]) => {
      const written = writeAsk(value);
      const [kind, inner] = Object.entries(written)[0] as [string, object];
      return outside ? { ...written, [name]: other } : { [kind]: { ...inner, [name]: other } };
    });
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), near), (payload) => {
        expect(["none", "bad_request"]).toContain(codeOf(() => readAsk(payload)));
        expect(["none", "bad_request"]).toContain(codeOf(() => readHint(payload)));
        expect(["none", "bad_request"]).toContain(codeOf(() => readHold(payload)));
        expect(["none", "bad_request"]).toContain(codeOf(() => readContext(payload)));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    [{}, "one of range"],
    [{ range: { key: "a" }, put: { key: "a", value: "" } }, "one of range"],
    [{ put: { key: "日", value: "" } }, "characters are bytes"],
    [{ put: { key: { base64: "a" }, value: "" } }, "base64"],
    [{ put: { key: "a" } }, '"value" must be'],
    [{ range: { key: "a", limit: -1 } }, '"limit"'],
    [{ range: { key: "a" }, level: { bounded: "1" } }, '"bounded"'],
    [{ range: { key: "a" }, level: "quorum" }, '"level"'],
    [{ leaseRevoke: { id: "9223372036854775808" } }, "64-bit"],
    [{ leaseRevoke: { id: 1.5 } }, "64-bit"],
    [{ put: { key: "a", value: "" }, session: ["c", 1, 1] }, '"session"'],
    [{ put: { key: "a", value: "" }, session: ["c d", 1, 0] }, '"session"'],
    [{ txn: { compare: [{ key: "a" }] } }, "version, create, mod, value, lease"],
    [{ txn: { success: [{ compact: {} }] } }, "range, put, deleteRange, txn"],
    [{ reconfigure: { changes: [] } }, "one of range"],
  ])("[GC3] %j is refused with a sentence that helps", (payload, part) => {
    expect(() => readAsk(payload)).toThrow(expect.objectContaining({ code: "bad_request", message: expect.stringContaining(part) }));
  });

  it("[GC3] transactions may be nested, but not without end", () => {
    const nested = (depth: number): unknown => (depth === 0 ? { range: { key: "a" } } : { txn: { success: [nested(depth - 1)] } });
    expect(codeOf(() => readAsk(nested(16)))).toBe("none");
    expect(codeOf(() => readAsk(nested(17)))).toBe("bad_request");
    expect(codeOf(() => readAsk(JSON.parse(`${'{"txn":{"success":['.repeat(20_000)}${"]}}".repeat(20_000)}`)))).toBe("bad_request");
  });

  it("[GC4] every answer survives being written and read", () => {
    fc.assert(
      fc.property(answered, (value) => void expect(readAnswer(overJson(writeAnswer(value)))).toEqual(value)),
      { numRuns: 500 },
    );
  });

  it("[GC4] an event survives but for what a deletion does not have", () => {
    fc.assert(
      fc.property(kv, fc.option(kv), fc.constantFrom("put" as const, "delete" as const), (now, prevKv, type) => {
        const gone = { ...now, value: "", createRevision: 0, version: 0, lease: 0n };
        const event = { type, kv: type === "put" ? now : gone, prevKv };
        expect(readEvent(overJson(writeEvent(event)))).toEqual(event);
      }),
    );
  });

  it("[GC5] a watch survives as a target, or is refused as too long", () => {
    const spec = fc.record({
      key: bytes,
      rangeEnd: fc.oneof(fc.constant(""), fc.constant("\0"), bytes),
      prevKv: fc.boolean(),
      filters: fc.constantFrom<("noPut" | "noDelete")[]>([], ["noPut"], ["noDelete"]),
    });
    const valid = spec.filter(({ key, rangeEnd }) => (rangeEnd === "" ? key !== "" : rangeEnd === "\0" || rangeEnd > key));
    fc.assert(
      fc.property(valid, (value) => {
        const target = writeTarget(value);
        expect(readTarget(target)).toEqual(value);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none is the point
        expect(target).not.toMatch(/[\u0000-\u001f\u007f]/);
      }),
    );
    expect(writeTarget({ key: "jobs/", rangeEnd: "jobs0", prevKv: false, filters: [] })).toBe('{"key":"jobs/","prefix":true}');
    expect(codeOf(() => writeTarget({ key: "k".repeat(MAX_TARGET_BYTES), rangeEnd: "", prevKv: false, filters: [] }))).toBe("too_large");
    for (const text of [
      "jobs/",
      "7",
      '{"key":""}',
      '{"key":"b","rangeEnd":"a"}',
      '{"key":"a","prefix":true,"rangeEnd":"b"}',
      '{"key":"a","only":"x"}',
    ]) {
      expect(codeOf(() => readTarget(text))).toBe("bad_request");
    }
    expect(readTarget('{"key":"","prefix":true}')).toMatchObject({ key: "", rangeEnd: "\0" });
  });

  it("[GC6] what a request needs: reading reads, the rest writes, moving the leader is for admins", () => {
    fc.assert(
      fc.property(ask, (value) => {
        const needs: Record<Ask["ask"], string> = {
          ...{ range: "read", leaseTimeToLive: "read", leases: "read", status: "read" },
          ...{ write: "write", leaseKeepAlive: "write", transfer: "admin", reconfigure: "admin" },
        };
        expect(rightFor(value)).toBe(needs[value.ask]);
      }),
    );
  });

  it.each([
    [11, "etcdserver: mvcc: required revision has been compacted", "revision_compacted"],
    [11, "etcdserver: mvcc: required revision is a future revision", "revision_in_future"],
    [5, "etcdserver: requested lease not found", "lease_not_found"],
    [9, "etcdserver: lease already exists", "lease_exists"],
    [8, "etcdserver: mvcc: database space exceeded", "group_full"],
    [3, "etcdserver: request is too large", "too_large"],
    [3, "etcdserver: duplicate key given in txn request", "bad_request"],
    [9, "skerry: this session is not known any more; begin a new one", "session_lost"],
  ])("[GC7] etcd's %i %s is %s, in its own words", (grpc, message, code) => {
    expect(errorOfKv({ grpc, message })).toMatchObject({ code, message, extra: { grpc } });
    const error = errorOfReply({ reply: "refused", grpc, message });
    expect(errorOfCall(callError(error))).toMatchObject({ code, message, extra: { grpc } });
  });

  it("[GC7] another leader is named; no quorum says when to try again", () => {
    expect(errorOfReply({ reply: "notLeader", leader: 3, term: 7 })).toMatchObject({ code: "not_leader", extra: { leader: 3, term: 7 } });
    expect(errorOfReply({ reply: "unavailable", message: "No.", retryAfterMs: 500 })).toMatchObject({ code: "no_quorum", retryAfter: 0.5 });
  });
});
