import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { errorOf, SkerryError } from "./errors.ts";
import {
  type CallFrame,
  type ClientFrame,
  callFrame,
  dataFrame,
  dataTail,
  encode,
  isPosition,
  MAX_CALL_FRAME_BYTES,
  MAX_CALLS,
  MAX_CLIENT_FRAME_BYTES,
  MAX_CREDIT,
  MAX_POSITION_LENGTH,
  MAX_RESULT_FRAME_BYTES,
  MAX_SERVER_FRAME_BYTES,
  negotiate,
  PING_TEXT,
  PONG_TEXT,
  parseClientFrame,
  parseServerFrame,
  resultFrame,
  resultText,
  type ServerFrame,
} from "./frames.ts";

const id = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const position = fc.stringMatching(/^[A-Za-z0-9._~:,;|=@!*()-]{1,40}$/);
const target = fc.string({ minLength: 1, maxLength: 40, unit: fc.constantFrom("a", "Z", "/", '"', "\\", "é", "日", "🙂", "?", " ") });
const credit = fc.integer({ min: 1, max: MAX_CREDIT });
const expiresAt = fc.option(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), { nil: null });

const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const calls: fc.Arbitrary<CallFrame> = fc.record(
  {
    type: fc.constant("call" as const),
    id: fc.integer({ min: 1, max: 2 ** 31 - 10 }),
    read: fc.nat(),
    calls: fc.array(json, { minLength: 1, maxLength: 5 }),
  },
  { requiredKeys: ["type", "id", "calls"] },
);
const callError = fc.record(
  {
    code: fc.constantFrom("overloaded" as const, "forbidden" as const),
    detail: fc.string(),
    retryAfter: fc.nat(),
    extra: fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), json),
  },
  { requiredKeys: ["code", "detail"] },
);
const results = fc.array(fc.oneof(fc.record({ id, value: json }), fc.record({ id, error: callError })), { maxLength: 5 });

const clientFrame: fc.Arbitrary<ClientFrame> = fc.oneof(
  fc.record(
    { type: fc.constant("subscribe" as const), id, target, from: position, credit },
    { requiredKeys: ["type", "id", "target", "credit"] },
  ),
  fc.record({ type: fc.constant("credit" as const), id, n: credit }),
  fc.record({ type: fc.constant("unsubscribe" as const), id }),
  fc.record({ type: fc.constant("ack" as const), id, position }),
  fc.record({ type: fc.constant("token" as const), token: fc.string({ minLength: 1 }) }),
  fc.constant({ type: "ping" as const }),
  calls,
);

const serverFrame: fc.Arbitrary<ServerFrame> = fc.oneof(
  fc.record(
    {
      type: fc.constant("hello" as const),
      version: fc.constant(1),
      expiresAt,
      member: fc.integer({ min: 1 }),
      object: fc.constant("v1/main/global/groups/group/a"),
    },
    { requiredKeys: ["type", "version", "expiresAt"] },
  ),
  fc.record({ type: fc.constant("subscribed" as const), id, position, mode: fc.constantFrom("snapshot" as const, "resume" as const) }),
  fc.record(
    {
      type: fc.constant("data" as const),
      id,
      position,
      kind: fc.constantFrom("snapshot" as const, "delta" as const),
      last: fc.constant(true),
      payload: json,
    },
    { requiredKeys: ["type", "id", "position", "kind", "payload"] },
  ),
  fc.record({ type: fc.constant("token_ok" as const), expiresAt }),
  fc.record(
    {
      type: fc.constant("error" as const),
      id,
      code: fc.constantFrom("bad_frame" as const, "forbidden" as const),
      detail: fc.string(),
      retryAfter: fc.nat(),
    },
    { requiredKeys: ["type", "code", "detail"] },
  ),
  fc.record({
    type: fc.constant("end" as const),
    id,
    reason: fc.constantFrom("unsubscribed" as const, "deleted" as const, "complete" as const),
  }),
  fc.constant({ type: "pong" as const }),
  fc.record({ type: fc.constant("result" as const), results }),
);

/** Text that comes close to a frame: real frames with a member replaced, cut or doubled, and plain noise. */
const nearFrame = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.json({ maxDepth: 4 }),
  fc
    .tuple(
      fc.oneof(clientFrame, serverFrame),
      fc.constantFrom("type", "id", "target", "from", "credit", "n", "position", "token", "kind", "calls", "read", "results"),
      fc.jsonValue(),
    )
    .map(([frame, name, value]) => JSON.stringify({ ...frame, [name]: value })),
  fc.tuple(fc.oneof(clientFrame, serverFrame), fc.nat(120)).map(([frame, cut]) => encode(frame).slice(0, cut)),
);

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof SkerryError) return error.code;
    throw error;
  }
  return "none";
}

describe("frames", () => {
  it("[WF1] every client frame survives encode and parse", () => {
    fc.assert(fc.property(clientFrame, (frame) => void expect(parseClientFrame(encode(frame), "calls")).toEqual(frame)));
  });

  it("[WF1] every server frame survives encode and parse", () => {
    fc.assert(fc.property(serverFrame, (frame) => void expect(parseServerFrame(encode(frame))).toEqual(frame)));
  });

  it("[WF2] no text makes a parser throw anything but bad_frame", () => {
    fc.assert(
      fc.property(nearFrame, (text) => {
        expect(["none", "bad_frame"]).toContain(codeOf(() => parseClientFrame(text)));
        expect(["none", "bad_frame"]).toContain(codeOf(() => parseClientFrame(text, "calls")));
        expect(["none", "bad_frame"]).toContain(codeOf(() => parseServerFrame(text)));
      }),
      { numRuns: 2000 },
    );
  });

  it("[WF2] what a parser accepts, it would also have written", () => {
    fc.assert(
      fc.property(nearFrame, (text) => {
        let frame: ClientFrame;
        try {
          frame = parseClientFrame(text, "calls");
        } catch {
          return;
        }
        expect(parseClientFrame(encode(frame), "calls")).toEqual(frame);
      }),
      { numRuns: 1000 },
    );
  });

  it("[WF2] a hostile nesting is refused or read, never a crash", () => {
    expect(codeOf(() => parseClientFrame("[".repeat(60_000)))).toBe("bad_frame");
    expect(codeOf(() => parseClientFrame(`{"a":`.repeat(12_000)))).toBe("bad_frame");
    expect(codeOf(() => parseClientFrame(`{"type":"ping","a":${"[".repeat(30_000)}${"]".repeat(30_000)}}`))).toBe("none");
    expect(codeOf(() => parseClientFrame('{"__proto__":{"type":"ping"}}'))).toBe("bad_frame");
  });

  it.each([
    ["{", "not JSON"],
    ["[]", "one JSON object"],
    ["null", "one JSON object"],
    ["{}", "it is missing"],
    ['{"type":"constructor"}', '"constructor"'],
    ['{"type":"credit","id":1,"n":0}', '"n" must be an integer from 1'],
    ['{"type":"credit","id":1.5,"n":1}', "it is 1.5"],
    ['{"type":"subscribe","id":1,"target":"","credit":1}', '"target"'],
    ['{"type":"subscribe","id":1,"target":"t","credit":1,"from":"a b"}', "position"],
    ['{"type":"subscribe","id":1,"target":"a\\u0000","credit":1}', "control character"],
    ['{"type":"subscribe","id":1,"target":"\\ud800","credit":1}', "broken Unicode"],
  ])("[WF2] %s is refused with a sentence that helps", (text, part) => {
    const error = (() => {
      try {
        parseClientFrame(text);
      } catch (thrown) {
        return errorOf(thrown);
      }
    })();
    expect(error?.code).toBe("bad_frame");
    expect(error?.message).toContain(part);
  });

  it("[WF2] a binary message is refused as bad_frame", () => {
    expect(codeOf(() => parseClientFrame(new ArrayBuffer(4) as unknown as string))).toBe("bad_frame");
  });

  it("[WF3] members that this version does not know are ignored", () => {
    expect(parseClientFrame('{"type":"unsubscribe","id":3,"later":true}')).toEqual({ type: "unsubscribe", id: 3 });
  });

  it("[WF3] an error code of a newer server reads as internal", () => {
    expect(parseServerFrame('{"type":"error","code":"toString","detail":"x"}')).toEqual({ type: "error", code: "internal", detail: "x" });
  });

  it("[WF4] inbound size is counted in bytes, not characters", () => {
    const frame = (pad: string) => `{"type":"ping","pad":"${pad}"}`;
    const room = MAX_CLIENT_FRAME_BYTES - frame("").length;
    expect(codeOf(() => parseClientFrame(frame("a".repeat(room))))).toBe("none");
    expect(codeOf(() => parseClientFrame(frame("a".repeat(room + 1))))).toBe("bad_frame");
    expect(codeOf(() => parseClientFrame(frame("日".repeat(Math.floor(room / 3)))))).toBe("none");
    expect(codeOf(() => parseClientFrame(frame("日".repeat(Math.floor(room / 3) + 1))))).toBe("bad_frame");
  });

  it("[WF5] a data frame never passes its limit, and one at the limit can be read", () => {
    const bytes = (text: string) => new TextEncoder().encode(text).length;
    const item = (payload: string) => ({ position: "p.1", kind: "delta" as const, payload });
    let size = MAX_SERVER_FRAME_BYTES - 200;
    while (codeOf(() => dataTail(item("x".repeat(size + 1)))) === "none") size++;
    const text = dataFrame(2 ** 31 - 1, dataTail(item("x".repeat(size))));
    expect(bytes(text)).toBe(MAX_SERVER_FRAME_BYTES);
    expect(parseServerFrame(text)).toMatchObject({ type: "data", position: "p.1" });
    expect(codeOf(() => dataTail(item("x".repeat(size + 1))))).toBe("too_large");
    expect(codeOf(() => dataTail(item("日".repeat(size / 2))))).toBe("too_large");
  });

  it("[WF5] a payload that is not JSON, or a position that is not one, is our own mistake", () => {
    expect(codeOf(() => dataTail({ position: "p", kind: "delta", payload: undefined }))).toBe("internal");
    expect(codeOf(() => dataTail({ position: 'p"', kind: "delta", payload: 1 }))).toBe("internal");
  });

  it("[WF6] positions hold nothing that JSON or a URL would escape", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 8 }), (text) => {
        if (isPosition(text)) expect(JSON.stringify(text).length).toBe(text.length + 2);
      }),
      { numRuns: 2000 },
    );
    expect(isPosition("a".repeat(MAX_POSITION_LENGTH))).toBe(true);
    expect(isPosition("a".repeat(MAX_POSITION_LENGTH + 1))).toBe(false);
    expect(isPosition("")).toBe(false);
    expect(isPosition("a\n")).toBe(false);
  });

  it("[WF7] the version is negotiated by subprotocol or by ?v, and an unknown one is refused", () => {
    expect(negotiate("skerry.v1", null)).toEqual({ version: 1, subprotocol: "skerry.v1" });
    expect(negotiate("skerry.v9, skerry.v1", "9")).toEqual({ version: 1, subprotocol: "skerry.v1" });
    expect(negotiate(null, "1")).toEqual({ version: 1, subprotocol: null });
    for (const [header, v] of [
      [null, null],
      ["skerry.v2", null],
      [null, "2"],
      ["", ""],
    ] as const) {
      expect(codeOf(() => negotiate(header, v))).toBe("bad_request");
    }
  });

  it("[WF9] a call frame made of texts is the frame, and so is a result frame", () => {
    fc.assert(
      fc.property(calls, results, (frame, outcomes) => {
        const texts = frame.calls.map((call) => JSON.stringify(call));
        expect(parseClientFrame(callFrame(frame.id, 7, texts), "calls")).toEqual({ ...frame, read: 7 });
        expect(parseServerFrame(resultFrame(outcomes.map(resultText)))).toEqual({ type: "result", results: outcomes });
      }),
    );
  });

  it("[WF9] a socket without calls does not know the type, whatever its size", () => {
    const text = callFrame(1, 0, ['"x"']);
    expect(codeOf(() => parseClientFrame(text))).toBe("bad_frame");
    expect(codeOf(() => parseClientFrame(callFrame(1, 0, [`"${"x".repeat(MAX_CLIENT_FRAME_BYTES)}"`])))).toBe("bad_frame");
  });

  it("[WF9] only what begins as a call may be large, up to its own limit", () => {
    const large = "x".repeat(MAX_CLIENT_FRAME_BYTES);
    const exact = MAX_CALL_FRAME_BYTES - callFrame(1, 0, ['""']).length;
    expect(codeOf(() => parseClientFrame(callFrame(1, 0, [`"${"x".repeat(exact)}"`]), "calls"))).toBe("none");
    expect(codeOf(() => parseClientFrame(callFrame(1, 0, [`"${"x".repeat(exact + 1)}"`]), "calls"))).toBe("bad_frame");
    expect(codeOf(() => parseClientFrame(`{"calls":["${large}"],"type":"call","id":1}`, "calls"))).toBe("bad_frame");
    expect(codeOf(() => parseClientFrame(`{"type":"ping","pad":"${large}"}`, "calls"))).toBe("bad_frame");
  });

  it("[WF9] a frame has 1 to 1,024 calls, and ids that exist", () => {
    const many = (n: number) => Array<string>(n).fill("1");
    expect(codeOf(() => parseClientFrame(callFrame(1, 0, many(MAX_CALLS)), "calls"))).toBe("none");
    expect(codeOf(() => parseClientFrame(callFrame(1, 0, many(MAX_CALLS + 1)), "calls"))).toBe("bad_frame");
    expect(codeOf(() => parseClientFrame(callFrame(1, 0, []), "calls"))).toBe("bad_frame");
    expect(codeOf(() => parseClientFrame(callFrame(2 ** 31 - 2, 0, many(2)), "calls"))).toBe("none");
    expect(codeOf(() => parseClientFrame(callFrame(2 ** 31 - 1, 0, many(2)), "calls"))).toBe("bad_frame");
  });

  it("[WF10] a result that no frame can hold is an error in its place", () => {
    const room = MAX_RESULT_FRAME_BYTES - resultFrame([resultText({ id: 1, value: "" })]).length;
    expect(parseServerFrame(resultFrame([resultText({ id: 1, value: "x".repeat(room) })]))).toMatchObject({ results: [{ id: 1 }] });
    for (const value of ["x".repeat(room + 1), "日".repeat(room / 2)]) {
      expect(JSON.parse(resultText({ id: 1, value }))).toMatchObject({ id: 1, error: { code: "too_large" } });
    }
  });

  it("[WF8] the auto-response texts are the encoded frames", () => {
    expect(PING_TEXT).toBe(encode({ type: "ping" }));
    expect(PONG_TEXT).toBe(encode({ type: "pong" }));
  });
});
