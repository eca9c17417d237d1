import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { changeMembership, restoreMembership } from "./conf-change.ts";
import { decodeConfChange, encodeConfChange, LEAVE_JOINT } from "./conf-codec.ts";
import { type ConfChange, type ConfState, type NodeId, RaftError } from "./types.ts";

const options = { lastIndex: 7, maxInflightMessages: 4, maxInflightBytes: 100 };
const change: fc.Arbitrary<ConfChange> = fc.record({
  transition: fc.constantFrom("auto", "implicit", "explicit"),
  changes: fc.array(
    fc.record({ kind: fc.constantFrom("addVoter", "addLearner", "remove", "update"), node: fc.integer({ min: 1, max: 6 }) }),
    { maxLength: 4 },
  ),
  context: fc.uint8Array({ maxLength: 5 }),
});

const START: ConfState = { voters: [1, 2, 3], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

/** All sets of 6 nodes, as bits, that decide in a configuration. */
function quorumsOf({ voters, votersOutgoing }: ConfState): number[] {
  const decides = (ids: readonly NodeId[], bits: number): boolean =>
    ids.length === 0 || ids.filter((id) => bits & (1 << (id - 1))).length * 2 > ids.length;
  return Array.from({ length: 64 }, (_, bits) => bits).filter((bits) => decides(voters, bits) && decides(votersOutgoing, bits));
}

function tryChange(conf: ConfState, cc: ConfChange): ConfState | null {
  try {
    return changeMembership(restoreMembership(conf, options), cc, options).conf;
  } catch (error) {
    if (error instanceof RaftError && error.code === "badConfChange") return null;
    throw error;
  }
}

describe("configuration changes", () => {
  it("[RC2][RC4] neighbours always share a deciding node; nobody is voter and learner; a state restores as itself", () => {
    let changed = 0;
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        let conf = START;
        for (const cc of changes) {
          const next = tryChange(conf, cc);
          if (next === null) continue;
          changed++;
          expect(next.voters.length).toBeGreaterThan(0);
          expect(next.learners.filter((id) => next.voters.includes(id) || next.votersOutgoing.includes(id))).toEqual([]);
          expect(next.learnersNext.filter((id) => !next.votersOutgoing.includes(id) || next.voters.includes(id))).toEqual([]);
          expect(restoreMembership(next, options).conf).toEqual(next);
          const quorums = quorumsOf(next);
          expect(quorumsOf(conf).every((before) => quorums.every((after) => (before & after) !== 0))).toBe(true);
          conf = next;
        }
      }),
      { numRuns: 200 },
    );
    expect(changed).toBeGreaterThan(200);
  });

  it("[RC3] nodes that stay keep their progress, new ones begin at the last index", () => {
    const before = restoreMembership(START, options);
    before.progress.get(2)!.match = 5;
    const cc: ConfChange = { transition: "auto", changes: [{ kind: "addVoter", node: 4 }], context: new Uint8Array(0) };
    const after = changeMembership(before, cc, options);
    expect(after.progress.get(2)).toBe(before.progress.get(2));
    expect(after.progress.get(4)).toMatchObject({ match: 0, next: 7, state: "probe", recentActive: true });
    expect(before.conf).toEqual(START);
  });

  it("[RC3] a change that is refused leaves everything as it was", () => {
    const before = restoreMembership(START, options);
    const cc: ConfChange = { transition: "auto", changes: [1, 2, 3].map((node) => ({ kind: "remove", node })), context: new Uint8Array(0) };
    expect(() => changeMembership(before, cc, options)).toThrow("no voter would be left");
    expect(before.conf).toEqual(START);
    expect([...before.progress.keys()]).toEqual([1, 2, 3]);
  });
});

describe("a change as an entry's data", () => {
  it("[RC8] reads back as it was written", () => {
    fc.assert(
      fc.property(change, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (cc, node) => {
        const with64 = { ...cc, changes: [...cc.changes, { kind: "addVoter" as const, node }] };
        expect(decodeConfChange(encodeConfChange(with64))).toEqual(with64);
      }),
    );
    expect(encodeConfChange(LEAVE_JOINT).length).toBe(0);
    expect(decodeConfChange(new Uint8Array(0))).toEqual(LEAVE_JOINT);
  });

  it("[RC8] anything else is badConfChange", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (data) => {
        try {
          decodeConfChange(data);
        } catch (error) {
          expect(error).toMatchObject({ code: "badConfChange" });
        }
      }),
    );
    expect(() => decodeConfChange(Uint8Array.of(2, 0, 0))).toThrow("version 2");
    expect(() => decodeConfChange(Uint8Array.of(1, 0, 1, 0, 0x80))).toThrow("does not end");
  });
});
