import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { errorOf } from "../../wire/errors.ts";
import { message } from "../raft/messages.ts";
import type { Message, MessageType } from "../raft/types.ts";
import { decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import { decodeEnvelope, type Envelope, encodeEnvelope } from "./envelope.ts";
import { decodeState, encodeState, NO_STATE } from "./state.ts";

const TYPES: MessageType[] = [
  "append",
  "appendResponse",
  "heartbeat",
  "heartbeatResponse",
  "vote",
  "voteResponse",
  "preVote",
  "preVoteResponse",
  "snapshot",
  "timeoutNow",
];
const natural = fc.oneof(fc.nat(300), fc.nat(), fc.maxSafeNat());
const bytes = fc.uint8Array({ maxLength: 200 });
const ids = fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 4 });
const conf = fc.record({ voters: ids, learners: ids, votersOutgoing: ids, learnersNext: ids, autoLeave: fc.boolean() });

const messages: fc.Arbitrary<Message> = fc
  .record({
    type: fc.constantFrom(...TYPES),
    term: natural,
    logTerm: fc.nat(1_000),
    index: fc.nat(),
    commit: natural,
    reject: fc.boolean(),
    rejectHint: natural,
    context: bytes,
    steps: fc.array(fc.record({ up: fc.nat(3), kind: fc.constantFrom("data" as const, "conf" as const), data: bytes }), { maxLength: 5 }),
    snapshot: fc.option(fc.record({ index: natural, term: natural, conf }), { nil: null }),
  })
  .map(({ steps, snapshot, ...rest }) => {
    let { logTerm: term } = rest;
    const entries = steps.map(({ up, kind, data }, i) => {
      term += up;
      return { term, index: rest.index + 1 + i, kind, data };
    });
    return { ...message(rest.type, 7, 9, 1), ...rest, entries, snapshot: snapshot && { ...snapshot, data: new Uint8Array() } };
  });

const pairs = fc.array(fc.tuple(fc.integer({ min: 1, max: 99 }), natural), { maxLength: 4 });
const envelopes: fc.Arbitrary<Envelope> = fc.record({
  from: fc.constant(7),
  to: fc.constant(9),
  ...{
    incarnation: natural,
    leader: natural,
    leaderTerm: natural,
    commit: natural,
    lastIndex: natural,
    lastTerm: natural,
    superseded: natural,
  },
  watching: fc.boolean(),
  fence: fc.boolean(),
  place: fc.constantFrom("", "AMS", "a place with spaces"),
  lives: fc.array(natural, { maxLength: 4 }),
  format: fc.integer({ min: 1, max: 300 }),
  seen: pairs,
  messages: fc.array(messages, { maxLength: 3 }),
  asks: fc.array(natural, { maxLength: 3 }),
  answers: pairs.map((list) => list.map(([id, index]) => ({ id, index }))),
  chunk: fc.option(fc.record({ index: natural, term: natural, total: natural, offset: natural, bytes }), { nil: null }),
  receipt: fc.option(fc.record({ index: natural, term: natural, received: natural, done: fc.boolean() }), { nil: null }),
});

const hex = (given: Uint8Array) => Buffer.from(given).toString("hex");
const codeOf = (run: () => unknown) => {
  try {
    run();
    return "none";
  } catch (error) {
    return errorOf(error).code;
  }
};

const EXAMPLE: Envelope = {
  ...{ from: 1, to: 2, incarnation: 3, leader: 1, leaderTerm: 4, commit: 300, lastIndex: 299, lastTerm: 4, superseded: 0 },
  ...{ watching: true, fence: true, place: "AMS", lives: [], format: 1, seen: [[2, 5]], asks: [8], answers: [{ id: 8, index: 300 }] },
  messages: [
    {
      ...message("append", 1, 2, 4),
      ...{ index: 300, logTerm: 4, commit: 300 },
      entries: [{ term: 4, index: 301, kind: "data" as const, data: Uint8Array.of(1, 2, 3) }],
    },
  ],
  chunk: { index: 9, term: 1, total: 4, offset: 2, bytes: Uint8Array.of(7, 8) },
  receipt: { index: 9, term: 1, received: 4, done: true },
};

const ENVELOPE_V1 =
  "010101908080000102030104ac02ab0204030003414d5302828080000205039180800000000404ac02ac0200000100000301020304818080000805838080000" +
  "8ac020686808000090104020708078480800009010401";
const STATE_V1 = "d11ac8a701040101010903414d530102ac0203494144";
const STATE_V2 = "df82c09d02040101010903414d530102ac0203494144020708";
const CHECKPOINT_V1 = "01ac02040301020301040000010102";

describe("what replicas say and keep", () => {
  it("[GR50] every envelope survives", () => {
    fc.assert(
      fc.property(envelopes, (envelope) => {
        expect(decodeEnvelope(encodeEnvelope(envelope))).toEqual(envelope);
      }),
    );
  });

  it("[GR50] damaged bytes are `corrupt`, or something else that can be read; never anything worse", () => {
    fc.assert(
      fc.property(
        envelopes,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(),
        (envelope, flips, cut) => {
          const sent = encodeEnvelope(envelope).slice();
          for (const [at, value] of flips) sent[at % sent.length] = value;
          const code = codeOf(() => decodeEnvelope(sent.subarray(0, sent.length - (cut % 3))));
          expect(["none", "corrupt", "newer_format"]).toContain(code);
        },
      ),
    );
  });

  it("[GR51] version 1 is read for ever", () => {
    expect(hex(encodeEnvelope(EXAMPLE))).toBe(ENVELOPE_V1);
    expect(decodeEnvelope(Uint8Array.from(Buffer.from(ENVELOPE_V1, "hex")))).toEqual(EXAMPLE);
    const state = {
      ...{ term: 4, vote: 1, leads: true, leader: 1, incarnation: 9, regressed: false, place: "AMS" },
      ...{ lives: [], peers: new Map([[2, { incarnation: 300, place: "IAD" }]]) },
    };
    expect(decodeState(Uint8Array.from(Buffer.from(STATE_V1, "hex")))).toEqual(state);
    const later = { ...state, lives: [7, 8] };
    expect(hex(encodeState(later))).toBe(STATE_V2);
    expect(decodeState(encodeState(later))).toEqual(later);
    const checkpoint = {
      ...{ index: 300, term: 4, data: Uint8Array.of(1, 2) },
      conf: { voters: [1, 2, 3], learners: [4], votersOutgoing: [], learnersNext: [], autoLeave: true },
    };
    expect(hex(encodeCheckpoint(checkpoint))).toBe(CHECKPOINT_V1);
    expect(decodeCheckpoint(Uint8Array.from(Buffer.from(CHECKPOINT_V1, "hex")))).toEqual(checkpoint);
  });

  it("[GR51] what a later version adds is skipped, unless it says that it must be understood", () => {
    const sent = [...encodeEnvelope(EXAMPLE)];
    const later = (readableBy: number) => Uint8Array.from([7, readableBy, ...sent.slice(2), 99, 3, 1, 2, 3]);
    expect(decodeEnvelope(later(1))).toEqual(EXAMPLE);
    expect(codeOf(() => decodeEnvelope(later(2)))).toBe("newer_format");
    // A message of a kind that is not known yet is as good as lost.
    const [unknown] = [encodeEnvelope({ ...EXAMPLE, seen: [], asks: [], answers: [], chunk: null, receipt: null })];
    const kind = unknown.indexOf(3, 20) + 5;
    unknown[kind] = 200;
    expect(decodeEnvelope(unknown).messages).toEqual([]);
  });

  it("[GR52] a state row that was damaged, or is of a later version, is reported", () => {
    const state = encodeState({ ...NO_STATE, term: 5 });
    expect(decodeState(state)).toEqual({ ...NO_STATE, term: 5 });
    for (let at = 0; at < state.length; at++) {
      const damaged = state.slice();
      damaged[at]! ^= 4;
      expect(codeOf(() => decodeState(damaged))).toBe("corrupt");
    }
  });
});
