import { describe, expect, it } from "vitest";
import { Cluster } from "./cluster.fixture.ts";
import { encodeConfChange } from "./conf-codec.ts";
import type { RaftConfig } from "./config.ts";
import type { ConfChange, Entry } from "./types.ts";

function cluster(size: number, settings: Partial<RaftConfig> = {}): Cluster {
  let draw = 0;
  const all = Array.from({ length: size }, (_, i) => i + 1);
  return new Cluster(size, all, { preVote: true, ...settings }, (below) => draw++ % below);
}
/** Round trips that it takes until nothing is under way; each delivers all that is. */
function rounds(c: Cluster, until: () => boolean): number {
  let count = 0;
  while (!until()) {
    count++;
    for (const envelope of c.network.splice(0)) c.deliver(envelope);
    for (const envelope of c.network.splice(0)) c.deliver(envelope);
    if (count > 20) throw new Error("it does not end");
  }
  return count;
}

describe("going on as leader", () => {
  it("[RS1] an evicted leader leads on in its term, and its first write is committed after one round trip", () => {
    const c = cluster(3);
    c.elect(1);
    for (let i = 0; i < 3; i++) c.propose(1);
    c.deliverAll();
    c.restart(c.host(1), 4, true);
    expect(c.node(1).status()).toMatchObject({ role: "leader", term: 2, lastIndex: 5 });
    expect(c.network).toEqual([]);
    c.propose(1);
    expect(rounds(c, () => c.floor === 6)).toBe(1);
    c.deliverAll();
    expect(c.hosts.map(({ running }) => running!.applied)).toEqual([6, 6, 6]);
  });

  it("[RS1] an election in place of it takes three", () => {
    const c = cluster(3);
    c.elect(1);
    c.restart(c.host(1), 0, false);
    c.node(1).campaign();
    c.run(c.host(1).running!);
    expect(rounds(c, () => c.node(1).status().role === "leader")).toBe(2);
    c.propose(1);
    expect(rounds(c, () => c.floor === 4)).toBe(2);
  });

  it("[RS2] not where the vote is not its own, where there was no term, or where it is not a voter", () => {
    const c = cluster(3);
    c.elect(1);
    c.restart(c.host(2), 0, false);
    expect(c.node(2).resume()).toBe(false);
    expect(cluster(3).node(1).resume()).toBe(false);
    c.change(1, { transition: "auto", changes: [{ kind: "remove", node: 1 }] });
    c.deliverAll();
    c.restart(c.host(1), 0, false);
    expect(c.node(1).resume()).toBe(false);
    expect(c.node(1).status().role).toBe("follower");
  });

  it("[RS2] not once it is deposed: who voted in a higher term has that term", () => {
    const c = cluster(3);
    c.elect(1);
    c.node(2).campaign();
    c.run(c.host(2).running!);
    c.cutOff(3);
    c.deliverAll();
    c.restart(c.host(1), 0, false);
    expect(c.node(1).resume()).toBe(false);
  });

  it("[RS3] a read waits until all that was there is known to be committed, for its commit index may be an old one of this term", () => {
    const c = cluster(3);
    c.elect(1);
    for (let i = 0; i < 5; i++) c.propose(1);
    c.deliverAll();
    c.restart(c.host(1), 3, true);
    expect(c.node(1).status()).toMatchObject({ commit: 4, lastIndex: 7 });
    c.read(c.host(1).running!);
    expect(c.network.map(({ m }) => m.type)).toEqual(["append", "append"]);
    c.deliverAll();
    // The harness knows that 7 was committed when the read began, and would have thrown.
    expect(c.answered).toBe(1);
  });

  it("[RS4] where nothing of its term is in the log it appends an empty entry, as a new leader does", () => {
    const c = cluster(3);
    c.elect(1);
    const { storage } = c.host(1);
    // Its election was durable, the entry that it began with was not.
    storage.hardState = { term: 7, vote: 1, commit: 2 };
    c.host(1).leads = 7;
    c.restart(c.host(1), 0, true);
    expect(c.node(1).status()).toMatchObject({ role: "leader", term: 7, lastIndex: 3 });
    expect(storage.term(3)).toBe(7);
  });

  it("[RS5] alone it knows at once what is committed", () => {
    const c = cluster(1);
    c.elect(1);
    for (let i = 0; i < 3; i++) c.propose(1);
    c.restart(c.host(1), 3, true);
    expect(c.node(1).status()).toMatchObject({ role: "leader", commit: 5, applied: 5, settled: true });
  });

  const add = (node: number): Entry["data"] => {
    const cc: ConfChange = { transition: "auto", changes: [{ kind: "addVoter", node }], context: new Uint8Array(0) };
    return encodeConfChange(cc);
  };

  it("[RC5] a node that forgot its commit index is at most one configuration behind: all changes but the last were committed", () => {
    const c = new Cluster(5, [1, 2, 3], { preVote: false }, () => 0);
    const { storage } = c.host(1);
    storage.append([2, 3].map((index) => ({ term: 1, index, kind: "conf" as const, data: add(index + 2) })));
    c.start(c.host(1), 0);
    expect(c.node(1).status()).toMatchObject({ commit: 2, applied: 1, conf: { voters: [1, 2, 3] } });
    // It has to apply the first one before it may ask for votes, or lead on.
    c.node(1).campaign();
    expect(c.node(1).status().role).toBe("follower");
    storage.hardState = { term: 1, vote: 1, commit: 1 };
    c.start(c.host(1), 0);
    expect(c.node(1).resume()).toBe(false);
    c.run(c.host(1).running!);
    expect(c.node(1).status().conf.voters).toEqual([1, 2, 3, 4]);
    expect(c.node(1).resume()).toBe(true);
  });
});

describe("without ticks", () => {
  it("[RI1] nothing leaves that nothing asked for: a settled group is silent, and only ticks make heartbeats", () => {
    const c = cluster(3);
    c.elect(1);
    c.propose(1);
    c.deliverAll();
    expect(c.hosts.map(({ running }) => running!.node.isSettled())).toEqual([true, true, true]);
    expect(c.hosts.some(({ running }) => running!.node.hasReady())).toBe(false);
    c.tick(1, 2);
    expect(c.network.map(({ m }) => m.type)).toEqual(["heartbeat", "heartbeat"]);
  });

  it("[RI2] a leader is settled once everybody who is reachable has the log and was told what is committed", () => {
    const c = cluster(3);
    c.elect(1);
    c.cutOff(3);
    c.propose(1);
    expect(c.node(1).status()).toMatchObject({ settled: false, uncommitted: 1, replicated: false });
    c.deliverAll();
    expect(c.node(1).status()).toMatchObject({ settled: false, uncommitted: 0, replicated: false });
    c.node(1).reportUnreachable(3);
    expect(c.node(1).status()).toMatchObject({ settled: true, replicated: true });
    expect(
      c
        .node(1)
        .status()
        .peers.find(({ id }) => id === 3),
    ).toMatchObject({ unreachable: true, match: 2 });
    c.read(c.host(1).running!);
    expect(c.node(1).status()).toMatchObject({ settled: false, pendingReads: 1 });
    c.deliverAll();
    expect(c.node(1).isSettled()).toBe(true);
    c.node(1).transferLeader(2);
    expect(c.node(1).isSettled()).toBe(false);
  });

  it("[RI2] a candidate is not settled, a follower is", () => {
    const c = cluster(3);
    c.node(1).campaign();
    expect(c.node(1).isSettled()).toBe(false);
    expect(c.node(2).isSettled()).toBe(true);
  });
});
