import type { GroupStatus, ReplicaState } from "@skerry/client/groups";
import { describe, expect, it } from "vitest";
import { cutsOf, whatHappened } from "./changes.ts";
import { spotsOf } from "./layout.ts";

type Replica = GroupStatus["status"][number];

const CALM: ReplicaState = {
  ...{ role: "follower", term: 2, leader: 1, revision: 5, firstIndex: 2, index: 9, committed: 9, applied: 9, bytes: 100, leases: 0 },
  ...{
    incarnation: 1,
    place: "",
    regressed: false,
    halted: null,
    waiting: 0,
    rows: 3,
    counters: { asks: 0, served: 0, calls: 0, alarms: 0, elections: 0 },
    peers: [],
    faults: null,
  },
};
const NO_FAULT = { hang: false, cut: [], delay: 0, drop: 0 };

function group(replicas: (Partial<ReplicaState> | null)[], more: Partial<GroupStatus> = {}): GroupStatus {
  const status = replicas.map((state, i): Replica => ({ id: i + 1, region: null, learner: false, state: state && { ...CALM, ...state } }));
  return {
    ...{ name: "g", generation: 1, createdAt: 0, replicas: 3, regions: [], members: [], leader: 1, term: 2, revision: 5 },
    ...{ level: "quorum", placement: "simulated", quorum: true, faults: true, status },
    ...more,
  };
}

describe("what happened between two looks", () => {
  const calm = group([{ role: "leader" }, {}, {}]);

  it("is nothing where only numbers grew", () => {
    const grown = group([{ role: "leader", index: 20, rows: 9 }, { index: 20 }, {}], { revision: 16 });
    expect(whatHappened(calm, grown)).toEqual([]);
  });

  it("is an election: who hangs, who stands, who leads in which term", () => {
    const hung = group([{ role: "leader", faults: { ...NO_FAULT, hang: true } }, {}, {}]);
    expect(whatHappened(calm, hung)).toEqual(["Replica 1 hangs."]);
    const stands = group([{ role: "leader", faults: { ...NO_FAULT, hang: true } }, { role: "candidate", term: 3 }, {}], { leader: null });
    expect(whatHappened(hung, stands)).toEqual(["Replica 2 stands for election in term 3.", "Nobody leads."]);
    const led = group([{ role: "leader", faults: { ...NO_FAULT, hang: true } }, { role: "leader", term: 3 }, { term: 3 }], {
      leader: 2,
      term: 3,
    });
    expect(whatHappened(stands, led)).toEqual(["Replica 2 leads in term 3."]);
    const healed = group([{ term: 3 }, { role: "leader", term: 3 }, { term: 3 }], { leader: 2, term: 3 });
    expect(whatHappened(led, healed)).toEqual(["Replica 1 answers again."]);
  });

  it("is a silence, a wake, a member more or less", () => {
    expect(whatHappened(calm, group([{ role: "leader" }, null, {}]))).toEqual(["Replica 2 does not answer."]);
    expect(whatHappened(group([{ role: "leader" }, null, {}]), calm)).toEqual(["Replica 2 answers again."]);
    expect(whatHappened(calm, group([{ role: "leader" }, { incarnation: 2 }, {}]))).toEqual(["Replica 2 woke: incarnation 2."]);
    expect(whatHappened(calm, group([{ role: "leader" }, {}, {}, {}]))).toEqual(["Replica 4 was added."]);
    expect(whatHappened(calm, group([{ role: "leader" }, {}]))).toEqual(["Replica 3 was removed."]);
    expect(whatHappened(calm, { ...calm, generation: 2 })).toEqual(["The group was made anew."]);
  });

  it("is a link cut at either end, told once", () => {
    const cut = group([{ role: "leader", faults: { ...NO_FAULT, cut: [3] } }, {}, { faults: { ...NO_FAULT, cut: [1] } }]);
    expect([...cutsOf(cut)]).toEqual(["1–3"]);
    expect(whatHappened(calm, cut)).toEqual(["The link 1–3 is cut."]);
    expect(whatHappened(cut, calm)).toEqual(["The link 1–3 is whole again."]);
  });
});

describe("the drawing", () => {
  it("has the leader on top, and nobody on another's place", () => {
    for (const size of [2, 3, 4, 5, 7]) {
      const ids = Array.from({ length: size }, (_, i) => i + 1);
      for (const leader of ids) {
        const spots = spotsOf(ids, leader);
        const top = spots.reduce((best, spot) => (spot.y < best.y ? spot : best));
        expect(top.id).toBe(leader);
        for (const a of spots) for (const b of spots) if (a !== b) expect(Math.hypot(a.x - b.x, a.y - b.y)).toBeGreaterThan(76);
      }
    }
    expect(spotsOf([4], null)).toHaveLength(1);
  });
});
