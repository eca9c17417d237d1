import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytes, Cluster } from "./cluster.fixture.ts";
import type { RaftConfig } from "./config.ts";
import { message } from "./messages.ts";
import type { Message } from "./types.ts";

const cluster = (size: number, settings: Partial<RaftConfig> = {}): Cluster =>
  new Cluster(
    size,
    Array.from({ length: size }, (_, i) => i + 1),
    { preVote: false, ...settings },
    () => 0,
  );

describe("what the host does", () => {
  it("[RD1] acknowledgements and votes of a Ready promise what is durable with it, and the own one counts after advance", () => {
    const c = cluster(3);
    c.elect(1);
    const { node } = c.host(1).running!;
    node.propose(bytes("a"));
    node.propose(bytes("b"));
    const ready = node.ready();
    expect(ready.entries.map(({ index }) => index)).toEqual([3, 4]);
    expect(ready.messages.every(({ to }) => to !== 1)).toBe(true);
    expect(node.raft.tracker.get(1)!.match).toBe(2);
    c.host(1).storage.append(ready.entries);
    node.advance();
    expect(node.raft.tracker.get(1)!.match).toBe(4);
    const follower = c.host(2).running!.node;
    for (const m of ready.messages.filter(({ to }) => to === 2)) follower.step(m);
    const theirs = follower.ready();
    expect(theirs.entries.map(({ index }) => index)).toEqual([3, 4]);
    expect(theirs.messages.map(({ type, index }) => [type, index])).toEqual([
      ["appendResponse", 3],
      ["appendResponse", 4],
    ]);
  });

  it("[RD2] a Ready is followed by advance, and advance follows a Ready", () => {
    const c = cluster(1);
    const { node } = c.host(1).running!;
    expect(() => node.advance()).toThrow(expect.objectContaining({ code: "badMessage" }));
    node.campaign();
    node.ready();
    expect(() => node.ready()).toThrow(expect.objectContaining({ code: "badMessage" }));
  });

  it("[RD3] nothing changes between two Readys without an event, and an idle node has none", () => {
    const c = cluster(3);
    c.elect(1);
    expect(c.node(1).hasReady()).toBe(false);
    expect(c.node(1).ready()).toEqual({
      softState: null,
      hardState: null,
      entries: [],
      snapshot: null,
      messages: [],
      committed: [],
      reads: [],
    });
  });

  it("[RD4] a message that contradicts itself is badMessage and touches nothing; an answer from a stranger is ignored", () => {
    const c = cluster(3);
    c.elect(1);
    const { node } = c.host(2).running!;
    const before = JSON.stringify(node.status());
    const good = message("append", 1, 2, 2);
    good.index = 2;
    good.logTerm = 2;
    const entry = { term: 2, index: 3, kind: "data" as const, data: bytes("x") };
    const bad: Partial<Message>[] = [
      { to: 3 },
      { from: 0 },
      { term: 0 },
      { entries: [{ ...entry, index: 4 }] },
      { entries: [{ ...entry, term: 1 }] },
      { entries: [{ ...entry, term: 3 }] },
      { entries: [entry, entry] },
      { type: "snapshot" },
      { type: "propose", term: 0 },
      { type: "propose", entries: [entry] },
    ];
    for (const part of bad) {
      expect(() => node.step({ ...good, ...part }), JSON.stringify(part)).toThrow(expect.objectContaining({ code: "badMessage" }));
    }
    node.step({ ...good, type: "voteResponse", from: 9, term: 50 });
    expect(JSON.stringify(node.status())).toBe(before);
  });

  it("[RD5] a proposal goes to the leader; where that cannot be it is dropped, and said so", () => {
    const c = cluster(3);
    expect(() => c.node(1).propose(bytes("x"))).toThrow(expect.objectContaining({ code: "proposalDropped" }));
    c.elect(1);
    c.propose(3);
    c.deliverAll();
    expect(c.floor).toBe(3);
    const d = cluster(3, { disableProposalForwarding: true });
    d.elect(1);
    expect(() => d.node(3).propose(bytes("x"))).toThrow("proposals go to the leader");
    d.node(1).proposeMany([]);
    expect(d.node(1).hasReady()).toBe(false);
  });

  it("[RD6] an answer that came for an older term does not make what replaced it durable", () => {
    const c = cluster(3);
    c.elect(1);
    const { node } = c.host(1).running!;
    node.propose(bytes("lost"));
    node.ready();
    // Before the write is done a leader of a higher term replaces the entry.
    const m = message("append", 2, 1, 9);
    m.index = 2;
    m.logTerm = 2;
    m.entries = [{ term: 9, index: 3, kind: "data", data: bytes("kept") }];
    node.step(m);
    node.advance();
    const ready = node.ready();
    expect(ready.entries.map(({ term, index }) => [term, index])).toEqual([[9, 3]]);
    expect(ready.messages.map(({ type, index }) => [type, index])).toContainEqual(["appendResponse", 3]);
  });

  it("[RC3] a second change while one is on its way becomes an empty entry, and so does one that cannot be", () => {
    const c = cluster(3);
    c.elect(1);
    const { node } = c.host(1).running!;
    const change = (...ids: number[]) => ({
      transition: "auto" as const,
      changes: ids.map((id) => ({ kind: "remove" as const, node: id })),
      context: new Uint8Array(0),
    });
    node.proposeConfChange(change(1, 2, 3));
    node.proposeConfChange(change(3));
    node.proposeConfChange(change(2));
    expect(node.ready().entries.map(({ kind }) => kind)).toEqual(["data", "conf", "data"]);
  });

  it("[RC7] a joint configuration with autoLeave is left once its entry is applied", () => {
    const c = new Cluster(4, [1, 2, 3], { preVote: false }, () => 0);
    c.elect(1);
    c.change(1, {
      transition: "auto",
      changes: [
        { kind: "addVoter", node: 4 },
        { kind: "remove", node: 3 },
      ],
    });
    c.deliverAll();
    expect(c.node(1).status().conf).toMatchObject({ voters: [1, 2, 4], votersOutgoing: [], autoLeave: false });
    expect(c.node(4).status().conf).toEqual(c.node(1).status().conf);
  });

  it("a configuration that cannot work is refused", () => {
    const bad: Partial<RaftConfig>[] = [{ electionTicks: 2, heartbeatTicks: 2 }, { heartbeatTicks: 0 }, { maxInflightMessages: 0 }];
    bad.push({ maxInflightBytes: 1, maxSizePerMessage: 2 });
    for (const part of bad) expect(() => cluster(1, part)).toThrow(expect.objectContaining({ code: "badMessage" }));
  });

  it("the same calls give the same messages", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("propose", "tick", "deliver", "campaign"), { maxLength: 60 }), (steps) => {
        const run = (): string => {
          const c = cluster(3, { preVote: true });
          const sent: string[] = [];
          for (const [i, step] of steps.entries()) {
            const id = 1 + (i % 3);
            if (step === "propose") c.propose(id);
            else if (step === "tick") c.tick(id, 5);
            else if (step === "campaign") c.elect(id);
            else if (c.network.length > 0) c.deliver(c.network.shift()!);
            sent.push(JSON.stringify(c.network));
          }
          return sent.join("\n");
        };
        expect(run()).toBe(run());
      }),
      { numRuns: 20 },
    );
  });
});
