import { describe, expect, it } from "vitest";
import { bytes, Cluster, type Instance } from "./cluster.fixture.ts";
import type { RaftConfig } from "./config.ts";
import { ReadRounds } from "./reads.ts";

/** Draws are different for every start. */
function cluster(size: number, settings: Partial<RaftConfig> = {}): Cluster {
  let draw = 0;
  const all = Array.from({ length: size }, (_, i) => i + 1);
  return new Cluster(size, all, { preVote: false, ...settings }, (below) => draw++ % below);
}
const running = (c: Cluster, id: number): Instance => c.host(id).running!;
const heartbeats = (c: Cluster): number => c.network.filter(({ m }) => m.type === "heartbeat").length;

describe("linearizable reads", () => {
  it("[RR1] a read is answered at the leader's commit index once a quorum acknowledged, at the node that asked", () => {
    const c = cluster(3);
    c.elect(1);
    c.propose(1);
    c.deliverAll();
    for (const id of [1, 2, 3]) c.read(running(c, id));
    expect(c.answered).toBe(0);
    c.deliverAll();
    expect(c.answered).toBe(3);
  });

  it("[RR1] a leader that was replaced answers none; with preVote it learns of it by asking", () => {
    const c = cluster(3, { preVote: true });
    c.elect(1);
    c.cutOff(1);
    c.elect(2);
    c.propose(2);
    c.deliverAll();
    c.cutOff();
    c.read(running(c, 1));
    c.deliverAll();
    expect(c.answered).toBe(0);
    expect(c.node(1).status()).toMatchObject({ role: "follower", pendingReads: 0 });
  });

  it("[RR2] a new leader begins no round before an entry of its term is committed, also where it is alone", () => {
    const c = cluster(3);
    c.elect(1);
    c.node(2).campaign();
    c.run(running(c, 2));
    c.deliverTo(3);
    c.deliverTo(2);
    expect(c.node(2).status().role).toBe("leader");
    c.network.splice(0, c.network.length, ...c.network.filter(({ m }) => m.type === "append"));
    c.read(running(c, 2));
    expect(heartbeats(c)).toBe(0);
    expect(c.node(2).status().pendingReads).toBe(1);
    c.deliverAll();
    expect(c.answered).toBe(1);

    const alone = cluster(1);
    alone.node(1).campaign();
    const ready = alone.node(1).ready();
    running(alone, 1).storage.hardState = ready.hardState!;
    alone.node(1).advance();
    alone.node(1).readIndex(bytes("early"));
    const next = alone.node(1).ready();
    expect(next.reads).toEqual([]);
    running(alone, 1).storage.append(next.entries);
    alone.node(1).advance();
    expect(alone.node(1).ready().reads).toEqual([{ index: 2, context: bytes("early") }]);
  });

  it("[RR3] with readsNeedFence the own vote counts only after a write that began later; the others alone are enough", () => {
    const c = cluster(3, { readsNeedFence: true });
    c.elect(1);
    const read = c.read(running(c, 1));
    expect(c.node(1).status().fence).toEqual(read);
    c.cutOff(3);
    c.deliverAll();
    expect(c.answered).toBe(0);
    c.fence(running(c, 1));
    expect(c.answered).toBe(1);
    expect(c.node(1).status()).toMatchObject({ fence: null, pendingReads: 0 });
    c.cutOff();
    c.read(running(c, 1));
    c.deliverAll();
    expect(c.answered).toBe(2);
  });

  it("[RR3] a fence serves the read that it names and all older ones, also such as still wait, but no later one", () => {
    const c = cluster(3, { readsNeedFence: true });
    c.elect(1);
    const first = c.read(running(c, 1));
    const second = c.read(running(c, 1));
    const third = c.read(running(c, 1));
    c.cutOff(3);
    c.deliverAll();
    c.node(1).acknowledgeRead(bytes("of nobody"));
    c.node(1).acknowledgeRead(second);
    c.run(running(c, 1));
    expect(c.answered).toBe(2);
    expect(c.node(1).status()).toMatchObject({ fence: third, pendingReads: 1 });
    c.node(1).acknowledgeRead(first);
    c.run(running(c, 1));
    expect(c.answered).toBe(2);
  });

  it("[RR3] alone, a fence is always needed", () => {
    const c = cluster(1, { readsNeedFence: true });
    c.elect(1);
    c.read(running(c, 1));
    expect(c.answered).toBe(0);
    c.fence(running(c, 1));
    expect(c.answered).toBe(1);
  });

  it("[RR3] an instance that was superseded and does not know it cannot answer; without the fence it would, with old state", () => {
    const stale = (readsNeedFence: boolean): Cluster => {
      const c = cluster(3, { readsNeedFence });
      c.elect(1);
      const old = c.supersede(c.host(1), true);
      // The new instance commits with 2; 3 never heard of it, and acknowledges the old one.
      c.cutOff(3);
      c.propose(1);
      c.deliverAll();
      c.cutOff(2);
      c.read(old);
      c.deliverTo(3);
      c.deliver(c.network.pop()!, true);
      return c;
    };
    expect(() => stale(false)).toThrow("missed what was committed");
    const c = stale(true);
    expect(c.answered).toBe(0);
    c.fence(c.host(1).twin!);
    expect(c.host(1).twin).toBe(null);
    expect(c.answered).toBe(0);
  });

  it("[RR4] the answer to a former start of the same leader in the same term confirms nothing", () => {
    const c = cluster(3);
    c.elect(1);
    c.read(running(c, 1));
    c.deliverTo(2);
    c.cutOff(3);
    const late = c.network.splice(0).filter(({ m }) => m.type === "heartbeatResponse");
    expect(late.length).toBe(1);
    c.cutOff();
    c.restart(c.host(1), 0, true);
    c.propose(1);
    c.deliverAll();
    c.read(running(c, 1));
    c.network.length = 0;
    for (const envelope of late) c.deliver(envelope);
    expect(c.answered).toBe(0);
    expect(c.node(1).status().pendingReads).toBe(1);
  });

  it("[RR4] a mark is read back by the one who made it, and by nobody else", () => {
    const [one, other] = [new ReadRounds(0xffff_fffe), new ReadRounds(0xffff_ffff)];
    for (const rounds of [one, other]) rounds.begin({ from: 1, context: bytes("x"), index: 0, fenced: false }, 5, 1);
    expect(one.acknowledge(2, one.mark())).toBe(true);
    expect(one.acknowledge(2, other.mark())).toBe(false);
    expect(one.acknowledge(2, one.mark().subarray(1))).toBe(false);
    expect(one.confirm(one.acknowledged(2)!).map(({ index }) => index)).toEqual([5]);
  });

  it("[RR5] many reads that begin between two Readys share one heartbeat a node", () => {
    const c = cluster(3);
    c.elect(1);
    for (let i = 0; i < 20; i++) c.node(1).readIndex(bytes(`read ${i}`));
    const ready = c.node(1).ready();
    expect(ready.messages.map(({ type, to }) => [type, to])).toEqual([
      ["heartbeat", 2],
      ["heartbeat", 3],
    ]);
    c.node(1).advance();
    c.node(2).step(ready.messages[0]!);
    c.node(1).step(c.node(2).ready().messages[0]!);
    expect(c.node(1).ready().reads.length).toBe(20);
  });

  it("[RR7] reads that nobody needs any more are not answered, and leave nothing to do; later ones are", () => {
    const c = cluster(3);
    c.elect(1);
    c.propose(1);
    c.deliverAll();
    c.read(running(c, 1));
    expect(c.node(1).status()).toMatchObject({ pendingReads: 1, settled: false });
    c.node(1).abandonReads();
    c.deliverAll();
    expect(c.node(1).status()).toMatchObject({ pendingReads: 0, settled: true });
    expect(c.answered).toBe(0);
    c.read(running(c, 1));
    c.deliverAll();
    expect(c.answered).toBe(1);
  });

  it("[RR6] a node that knows no leader drops a read, and so does a candidate", () => {
    const c = cluster(3);
    c.read(running(c, 1));
    expect(c.network).toEqual([]);
    c.node(1).campaign();
    c.read(running(c, 1));
    expect(c.network.map(({ m }) => m.type)).toEqual(["vote", "vote"]);
  });
});
