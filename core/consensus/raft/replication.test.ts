import { describe, expect, it } from "vitest";
import { Cluster } from "./cluster.fixture.ts";
import type { RaftConfig } from "./config.ts";
import type { RaftEvent } from "./events.ts";
import { MemoryStorage } from "./memory.ts";
import { RaftNode } from "./node.ts";
import { ENTRY_OVERHEAD } from "./sizes.ts";
import type { NodeId } from "./types.ts";

const LARGE = 1 << 30;
const cluster = (size: number, settings: Partial<RaftConfig> = {}): Cluster => {
  const open = {
    maxSizePerMessage: LARGE,
    maxInflightBytes: LARGE,
    maxInflightMessages: 256,
    maxCommittedSizePerReady: LARGE,
    preVote: false,
  };
  return new Cluster(
    size,
    Array.from({ length: size }, (_, i) => i + 1),
    { ...open, ...settings },
    () => 0,
  );
};
const appends = (c: Cluster, to: NodeId): [number, number][] =>
  c.network.filter(({ m }) => m.type === "append" && m.to === to).map(({ m }) => [m.index, m.entries.length]);
const peer = (c: Cluster, id: NodeId) =>
  c
    .node(1)
    .status()
    .peers.find((each) => each.id === id)!;

describe("replication", () => {
  it("[RL3] what a majority has is committed, applied once by everybody, in order, and followers learn it at once", () => {
    const c = cluster(3);
    c.elect(1);
    for (let i = 0; i < 10; i++) c.propose(1 + (i % 3));
    c.deliverAll();
    expect(c.floor).toBe(12);
    expect(c.hosts.map(({ running }) => running!.applied)).toEqual([12, 12, 12]);
  });

  it("[RL4] an entry of an older term is not committed by counting who has it (figure 8 of the paper)", () => {
    const c = cluster(5, { maxSizePerMessage: 0 });
    c.elect(1);
    // 1 gives its entry to 2 only.
    c.propose(1);
    c.cutOff(3, 4, 5);
    c.deliverTo(2);
    expect(c.host(2).storage.term(3)).toBe(2);
    // 1 and 2 are gone; 5, which does not have the entry, leads, and nobody gets what it appends.
    c.cutOff(1, 2);
    c.node(5).campaign();
    c.run(c.host(5).running!);
    c.deliverTo(3);
    c.deliverTo(4);
    c.deliverTo(5);
    expect(c.node(5).status()).toMatchObject({ role: "leader", term: 3, lastIndex: 3 });
    c.network.length = 0;
    // 1 is back; the second time its term is high enough for 3, and with 2 that is a majority.
    c.cutOff(4, 5);
    c.restart(c.host(1), 0, false);
    c.elect(1);
    expect(c.node(1).status()).toMatchObject({ role: "candidate", term: 3 });
    c.node(1).campaign();
    c.run(c.host(1).running!);
    c.deliverTo(2);
    c.deliverTo(3);
    c.deliverTo(1);
    expect(c.node(1).status()).toMatchObject({ role: "leader", term: 4, lastIndex: 4 });
    // 2 has all; 3 gets the old entry: now a majority has it, and the leader knows.
    for (let i = 0; i < 2; i++) {
      c.deliverTo(2);
      c.deliverTo(3);
      c.deliverTo(1);
    }
    expect([1, 2, 3].map((id) => c.host(id).storage.term(3))).toEqual([2, 2, 2]);
    expect([peer(c, 2).match, peer(c, 3).match]).toEqual([4, 3]);
    expect(c.node(1).status().commit).toBe(2);
    // With a majority for an entry of its own term all before it is committed.
    c.deliverAll();
    expect(c.node(1).status().commit).toBe(4);
    expect(c.committed.get(3)).toBe("2 data p1");
  });

  it("[RL5] a follower with another end is found by one probe a term, not by one an entry", () => {
    const c = cluster(3);
    c.elect(1);
    // 1 appends much that nobody gets; 2 leads on and appends more; 1 comes back as a follower.
    c.cutOff(1);
    for (let i = 0; i < 50; i++) c.propose(1);
    c.elect(2);
    for (let i = 0; i < 80; i++) c.propose(2);
    c.deliverAll();
    c.cutOff();
    let probes = 0;
    c.tick(2, 2);
    while (c.network.length > 0) {
      if (c.network[0]!.m.type === "append" && c.network[0]!.m.to === 1) probes++;
      c.deliver(c.network.shift()!);
    }
    expect(c.host(1).running!.applied).toBe(c.floor);
    expect(probes).toBeLessThan(6);
  });

  it("[RF1] who is probed gets one append, until it answers or a heartbeat comes back", () => {
    const c = cluster(3);
    c.elect(1);
    c.node(1).reportUnreachable(3);
    for (let i = 0; i < 4; i++) c.propose(1);
    expect(appends(c, 2)).toEqual([
      [2, 1],
      [3, 1],
      [4, 1],
      [5, 1],
    ]);
    expect(appends(c, 3)).toEqual([[2, 1]]);
    c.cutOff(3);
    c.deliverAll();
    c.cutOff();
    c.tick(1, 2);
    c.deliverAll();
    expect(peer(c, 3)).toMatchObject({ state: "replicate", match: 6, unreachable: false });
  });

  it("[RF2] entries are sent ahead until the window is full, by messages or by bytes", () => {
    const c = cluster(3, { maxInflightMessages: 3 });
    c.elect(1);
    for (let i = 0; i < 5; i++) c.propose(1);
    expect(appends(c, 2).length).toBe(3);
    c.deliverAll();
    expect(peer(c, 2).match).toBe(7);
    const d = cluster(3, { maxInflightBytes: 10, maxSizePerMessage: 10 });
    d.elect(1);
    for (let i = 0; i < 5; i++) d.node(1).propose(new Uint8Array(6));
    d.run(d.host(1).running!);
    expect(appends(d, 2).length).toBe(2);
    d.deliverAll();
    expect(peer(d, 2).match).toBe(7);
  });

  it("[RF3] a message has at least one entry and else at most so many bytes", () => {
    const c = cluster(2, { maxSizePerMessage: 3 * (ENTRY_OVERHEAD + 10) });
    c.elect(1);
    c.node(1).proposeMany(Array.from({ length: 8 }, () => new Uint8Array(10)));
    c.run(c.host(1).running!);
    expect(appends(c, 2)).toEqual([[2, 3]]);
    c.deliverTo(2);
    c.deliverTo(1);
    expect(appends(c, 2)).toContainEqual([5, 3]);
    c.deliverAll();
    expect(c.host(2).running!.applied).toBe(10);
  });

  it("[RF4] proposals beyond the limit of what is not applied are dropped, a first one never", () => {
    const c = cluster(2, { maxUncommittedSize: 100 });
    c.elect(1);
    c.node(1).propose(new Uint8Array(500));
    expect(() => c.node(1).propose(new Uint8Array(1))).toThrow(expect.objectContaining({ code: "proposalDropped" }));
    expect(() => c.node(1).proposeMany([new Uint8Array(0), new Uint8Array(1)])).toThrow("too much is not committed");
    c.run(c.host(1).running!);
    c.deliverAll();
    c.node(1).propose(new Uint8Array(1));
    c.run(c.host(1).running!);
    c.deliverAll();
    expect(c.floor).toBe(4);
  });

  it("[RF5] committed entries are handed out in pages; the next one comes when the last is applied", () => {
    const c = cluster(1, { maxCommittedSizePerReady: 2 * (ENTRY_OVERHEAD + 10) });
    c.elect(1);
    const { node, storage } = c.host(1).running!;
    node.proposeMany(Array.from({ length: 5 }, () => new Uint8Array(10)));
    const pages: number[] = [];
    while (node.hasReady()) {
      const ready = node.ready();
      storage.append(ready.entries);
      if (ready.committed.length > 0) pages.push(ready.committed.length);
      node.advance();
    }
    expect(pages).toEqual([2, 2, 1]);
  });

  it("[RF6] who needs what is compacted gets a snapshot, and the log after it", () => {
    const events: RaftEvent[] = [];
    const c = cluster(3, { logger: (event) => events.push(event) });
    c.elect(1);
    c.cutOff(3);
    for (let i = 0; i < 5; i++) c.propose(1);
    c.deliverAll();
    c.compact(c.host(1), 0);
    c.propose(1);
    c.deliverAll();
    c.cutOff();
    c.tick(1, 2);
    c.deliverAll();
    expect(events).toContainEqual(expect.objectContaining({ type: "restore", outcome: "restored", index: 7 }));
    expect(c.host(3).running!.applied).toBe(c.floor);
    expect(peer(c, 3).state).toBe("replicate");
  });

  /** Entries are compacted on the leader, 1, that 3 does not have; `silent`: 3 did not answer for a check of the quorum. */
  function behind(silent: boolean): Cluster {
    const c = cluster(3, { checkQuorum: true });
    c.elect(1);
    c.cutOff(3);
    for (let i = 0; i < 3; i++) c.propose(1);
    c.deliverAll();
    c.compact(c.host(1), 0);
    for (let i = 0; silent && i < 10; i++) {
      c.tick(1, 2);
      c.deliverAll();
    }
    c.node(1).reportUnreachable(3);
    c.cutOff();
    return c;
  }
  const snapshots = (c: Cluster): NodeId[] => c.network.filter(({ m }) => m.type === "snapshot").map(({ m }) => m.to);

  it("[RF6] a snapshot goes to nobody who is silent", () => {
    const c = behind(true);
    c.propose(1);
    expect(snapshots(c)).toEqual([]);
    const d = behind(false);
    d.propose(1);
    expect(snapshots(d)).toEqual([3]);
  });

  it("[RF6] a snapshot goes to nobody who is not in its configuration", () => {
    const c = behind(false);
    const snapshot = { ...c.host(1).storage.snapshot(), conf: { ...c.conf, voters: [1, 2] } };
    c.host(1).storage.snapshot = () => snapshot;
    c.propose(1);
    expect(snapshots(c)).toEqual([]);
  });

  it("[RF6] while a snapshot is under way nothing is sent; the host says if it was lost", () => {
    const c = behind(false);
    c.propose(1);
    c.cutOff(3);
    c.propose(1);
    expect(peer(c, 3)).toMatchObject({ state: "snapshot", paused: true, pendingSnapshot: 5 });
    c.node(1).reportSnapshot(3, false);
    expect(peer(c, 3)).toMatchObject({ state: "probe", paused: true, next: 3 });
    c.cutOff();
    c.tick(1, 2);
    c.deliverAll();
    expect(peer(c, 3)).toMatchObject({ state: "replicate", match: 7 });
    expect(c.host(3).running!.applied).toBe(c.floor);
  });
});

describe("what is durable decides", () => {
  const node = (storage: MemoryStorage, applied: number): RaftNode =>
    new RaftNode({
      id: 1,
      storage,
      applied,
      electionTicks: 10,
      heartbeatTicks: 1,
      maxSizePerMessage: LARGE,
      maxCommittedSizePerReady: LARGE,
      maxUncommittedSize: LARGE,
      maxInflightMessages: 10,
      maxInflightBytes: LARGE,
      checkQuorum: false,
      preVote: false,
      random: () => 0,
      readsNeedFence: false,
      disableProposalForwarding: false,
      disableConfChangeValidation: false,
      stepDownOnRemoval: false,
    });
  const conf = { voters: [1, 2, 3], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

  it("[RL7] a commit index that was not written is at least what was applied and what is compacted", () => {
    const storage = new MemoryStorage();
    storage.applySnapshot({ index: 5, term: 1, conf, data: new Uint8Array(0) });
    storage.append([6, 7, 8].map((index) => ({ term: 1, index, kind: "data" as const, data: new Uint8Array(0) })));
    expect(node(storage, 5).status()).toMatchObject({ commit: 5, applied: 5, lastIndex: 8 });
    expect(node(storage, 7).status()).toMatchObject({ commit: 7, applied: 7 });
    expect(node(storage, 7).hasReady()).toBe(false);
  });

  it("[RL6] a commit index beyond the end is a log that lost its end", () => {
    const storage = new MemoryStorage();
    storage.hardState = { term: 1, vote: 0, commit: 1 };
    expect(() => node(storage, 0)).toThrow(expect.objectContaining({ code: "corrupt" }));
  });
});
