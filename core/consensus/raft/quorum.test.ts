import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jointIndex, jointVote } from "./quorum.ts";
import type { NodeId } from "./types.ts";

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { maxLength: 7 });

/** A majority of these, by counting; of nobody it is always there. */
const isQuorum = (voters: readonly NodeId[], who: ReadonlySet<NodeId>): boolean =>
  voters.length === 0 || voters.filter((id) => who.has(id)).length * 2 > voters.length;

describe("joint majorities against a model that tries everything", () => {
  it("[RQ2] an index is committed exactly if a majority of both has it", () => {
    fc.assert(
      fc.property(ids, ids, fc.array(fc.nat(6), { minLength: 8, maxLength: 8 }), (incoming, outgoing, acknowledged) => {
        const has = (index: number): Set<NodeId> => new Set([1, 2, 3, 4, 5, 6, 7].filter((id) => acknowledged[id]! >= index));
        const both = (index: number): boolean => isQuorum(incoming, has(index)) && isQuorum(outgoing, has(index));
        const index = jointIndex(incoming, outgoing, (id) => acknowledged[id]);
        if (incoming.length + outgoing.length === 0) {
          expect(index).toBe(Number.POSITIVE_INFINITY);
          return;
        }
        expect(both(index)).toBe(true);
        expect(both(index + 1)).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  it("[RQ3] a vote is won or lost exactly if no vote that is missing can change that", () => {
    const votes = fc.array(fc.option(fc.boolean()), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(ids, ids, votes, (incoming, outgoing, given) => {
        const known = new Map([1, 2, 3, 4, 5, 6, 7].flatMap((id) => (given[id] === null ? [] : [[id, given[id]!] as const])));
        const missing = [...new Set([...incoming, ...outgoing])].filter((id) => !known.has(id));
        const outcomes = new Set<boolean>();
        for (let bits = 0; bits < 1 << missing.length; bits++) {
          const granted = new Set([...known].flatMap(([id, vote]) => (vote ? [id] : [])));
          for (const [i, id] of missing.entries()) if (bits & (1 << i)) granted.add(id);
          outcomes.add(isQuorum(incoming, granted) && isQuorum(outgoing, granted));
        }
        const expected = outcomes.size === 2 ? "pending" : outcomes.has(true) ? "won" : "lost";
        expect(jointVote(incoming, outgoing, known)).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });
});
