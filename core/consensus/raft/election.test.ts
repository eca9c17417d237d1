import { describe, expect, it } from "vitest";
import { Cluster } from "./cluster.fixture.ts";
import type { Message, NodeId } from "./types.ts";

const cluster = (size: number, settings: ConstructorParameters<typeof Cluster>[2] = {}): Cluster =>
  new Cluster(
    size,
    Array.from({ length: size }, (_, i) => i + 1),
    { preVote: false, ...settings },
    (below) => below - 1,
  );

const roles = (c: Cluster): string[] => c.hosts.map(({ running }) => running!.node.status().role);
const types = (c: Cluster, to?: NodeId): string[] => c.network.filter(({ m }) => to === undefined || m.to === to).map(({ m }) => m.type);
const raw = (c: Cluster, type: Message["type"]): Message => c.network.find(({ m }) => m.type === type)!.m;

describe("elections", () => {
  it("[RE1] a candidate with a majority leads, and the others follow it", () => {
    const c = cluster(3);
    c.elect(1);
    expect(roles(c)).toEqual(["leader", "follower", "follower"]);
    expect(c.hosts.map(({ running }) => running!.node.status().leader)).toEqual([1, 1, 1]);
  });

  it("[RE1] split votes elect nobody", () => {
    const c = cluster(4);
    for (const id of [1, 2]) c.node(id).campaign();
    for (const id of [1, 2]) c.run(c.host(id).running!);
    c.deliverTo(3);
    c.network.reverse();
    c.deliverTo(4);
    c.deliverAll();
    expect(roles(c)).not.toContain("leader");
  });

  it("[RE2] a node votes once a term, and the vote is in the Ready that carries the answer", () => {
    const c = cluster(3);
    for (const id of [1, 2]) c.node(id).campaign();
    for (const id of [1, 2]) c.run(c.host(id).running!);
    const { node } = c.host(3).running!;
    const [first, second] = c.network.filter(({ m }) => m.to === 3).map(({ m }) => m);
    node.step(first!);
    node.step(second!);
    const ready = node.ready();
    expect(ready.hardState).toMatchObject({ term: 2, vote: 1 });
    expect(ready.messages.map(({ type, to, reject }) => [type, to, reject])).toEqual([
      ["voteResponse", 1, false],
      ["voteResponse", 2, true],
    ]);
  });

  it("[RE2] a candidate's own vote counts only once it is durable", () => {
    const c = cluster(1);
    const { node } = c.host(1).running!;
    node.campaign();
    expect(node.status().role).toBe("candidate");
    const ready = node.ready();
    expect(ready.hardState).toMatchObject({ term: 2, vote: 1 });
    expect(node.status().role).toBe("candidate");
    node.advance();
    expect(node.status().role).toBe("leader");
  });

  it("[RE3] a node whose log is more complete refuses", () => {
    const c = cluster(3);
    c.elect(1);
    c.cutOff(3);
    c.propose(1);
    c.deliverAll();
    c.cutOff();
    c.elect(3);
    expect(roles(c)).toEqual(["follower", "follower", "follower"]);
    expect(c.node(3).status().leader).toBe(0);
  });

  it("[RE4] the time until an election is drawn anew from [n, 2n) ticks", () => {
    for (const draw of [0, 4, 9]) {
      const c = new Cluster(3, [1, 2, 3], { preVote: false }, (below) => (below === 10 ? draw : 0));
      c.tick(1, 9 + draw);
      expect(roles(c)[0]).toBe("follower");
      c.tick(1, 1);
      expect(roles(c)[0]).toBe("candidate");
    }
  });

  it("[RE5] a precandidate changes neither its term nor its vote, nor those it asks", () => {
    const c = cluster(3, { preVote: true });
    const before = c.hosts.map(({ running }) => running!.node.status().term);
    c.node(1).campaign();
    c.run(c.host(1).running!);
    expect(types(c)).toEqual(["preVote", "preVote"]);
    expect(raw(c, "preVote").term).toBe(2);
    c.deliverTo(2);
    expect(c.hosts.map(({ running }) => running!.node.status().term)).toEqual(before);
    expect(c.node(2).status().vote).toBe(0);
    c.deliverAll();
    expect(roles(c)[0]).toBe("leader");
    expect(c.node(1).status().term).toBe(2);
  });

  it("[RE5] a node that cannot win does not raise anybody's term by pre-votes", () => {
    const c = cluster(3, { preVote: true });
    c.elect(1);
    c.cutOff(3);
    c.propose(1);
    c.deliverAll();
    c.cutOff();
    for (let i = 0; i < 5; i++) c.tick(3, 25);
    c.deliverAll();
    expect(roles(c)).toEqual(["leader", "follower", "follower"]);
    expect(c.hosts.map(({ running }) => running!.node.status().term)).toEqual([2, 2, 2]);
  });

  it("[RE6] with checkQuorum a leader that hears nobody steps down, and who hears a leader does not vote", () => {
    const c = cluster(3, { checkQuorum: true });
    c.elect(1);
    c.node(3).campaign();
    c.run(c.host(3).running!);
    c.deliverTo(2);
    expect(c.node(2).status()).toMatchObject({ term: 2, leader: 1 });
    c.network.length = 0;
    c.tick(1, 20);
    expect(roles(c)[0]).toBe("follower");
    expect(c.node(1).status().term).toBe(2);
  });

  it("[RE6] without ticks and without checkQuorum, whoever is asked votes, though it has a leader", () => {
    const c = cluster(3, { preVote: true });
    c.elect(1);
    c.cutOff(1);
    c.elect(2);
    expect(roles(c)[1]).toBe("leader");
  });

  it("[RE7] leadership goes to the voter that is named, once it has the whole log; meanwhile nothing is proposed", () => {
    const c = cluster(3, { preVote: true });
    c.elect(1);
    c.cutOff(2);
    c.propose(1);
    c.deliverAll();
    c.cutOff();
    c.node(1).transferLeader(2);
    expect(() => c.node(1).propose(new Uint8Array(1))).toThrow(expect.objectContaining({ code: "proposalDropped" }));
    c.run(c.host(1).running!);
    expect(types(c, 2)).not.toContain("timeoutNow");
    c.tick(1, 2);
    c.deliverAll();
    expect(roles(c)).toEqual(["follower", "leader", "follower"]);
  });

  it("[RE7] a transfer that is not finished within an election timeout is given up; a learner gets none", () => {
    const c = cluster(3);
    c.elect(1);
    c.node(1).transferLeader(3);
    expect(c.node(1).status().leadTransferee).toBe(3);
    c.tick(1, 10);
    expect(c.node(1).status().leadTransferee).toBe(0);
    const d = new Cluster(4, [1, 2, 3], {}, () => 0);
    d.elect(1);
    d.change(1, { transition: "auto", changes: [{ kind: "addLearner", node: 4 }] });
    d.heal();
    d.node(1).transferLeader(4);
    expect(d.node(1).status().leadTransferee).toBe(0);
  });

  it("[RE8] a follower that forgets its leader votes in the same term for nobody twice, and learns of it again", () => {
    const c = cluster(3);
    c.elect(1);
    c.node(2).forgetLeader();
    c.run(c.host(2).running!);
    expect(c.node(2).status()).toMatchObject({ leader: 0, vote: 1, term: 2 });
    c.tick(1, 2);
    c.deliverAll();
    expect(c.node(2).status().leader).toBe(1);
  });

  it("[RE9] a node that has not applied a committed change does not stand", () => {
    const c = cluster(3);
    c.elect(1);
    c.change(1, { transition: "auto", changes: [{ kind: "addLearner", node: 3 }] });
    const { node, storage } = c.host(2).running!;
    c.deliverTo(2);
    c.deliverTo(1);
    for (const { m } of c.network.splice(0)) if (m.to === 2) node.step(m);
    expect(node.status().commit).toBe(3);
    node.campaign();
    expect(node.status().role).toBe("follower");
    c.run(c.host(2).running!);
    expect(storage.lastIndex()).toBe(3);
    node.campaign();
    expect(node.status().role).toBe("candidate");
  });
});
