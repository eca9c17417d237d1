import { describe, expect, it } from "vitest";
import { MemoryJournalStorage } from "../../journal/memory.ts";
import { Cluster, get, put, seeded } from "./cluster.fixture.ts";
import { decodeEnvelope } from "./envelope.ts";
import { Replica } from "./replica.ts";
import { NO_HINT } from "./types.ts";

function settled() {
  const cluster = new Cluster([1, 2, 3]);
  const { leader } = cluster.write(put("a", "1"));
  cluster.run(10_000);
  return { cluster, leader, others: [1, 2, 3].filter((id) => id !== leader) as [number, number] };
}

describe("incarnations", () => {
  it("[GR40] each wake that takes part raises it, and one that is only looked at does not", () => {
    const { cluster, leader } = settled();
    const { incarnation } = cluster.replica(leader).inspect();
    cluster.evict(leader);
    cluster.ask(leader, { ask: "status" });
    cluster.ask(leader, get("a", { level: "stale" }));
    expect(cluster.replica(leader).inspect().incarnation).toBe(incarnation);
    cluster.ask(leader, get("a"));
    expect(cluster.replica(leader).inspect().incarnation).toBe(incarnation + 1);
  });

  it("[GR41] a replica whose storage was rolled back behind a wake finds out, and takes no part any more", () => {
    const { cluster, leader, others } = settled();
    const [victim] = others;
    const before = cluster.member(victim).rows.snapshot();
    for (let wakes = 0; wakes < 2; wakes++) {
      cluster.evict(victim);
      cluster.write(put("a", `later ${wakes}`), leader);
      cluster.run(5_000);
    }
    cluster.rollBack(victim, before);
    cluster.write(put("a", "again"), leader);
    cluster.run(5_000);
    expect(cluster.replica(victim).inspect()).toMatchObject({ regressed: true });
    // It names nobody: who it knows may be of a time before, and send who asks back here.
    expect(cluster.ask(victim, get("a", { level: "stale" })).reply).toMatchObject({ reply: "notLeader", leader: 0 });
    // It stays so, and its vote is worth nothing.
    cluster.evict(victim);
    cluster.hung.add(leader);
    expect(cluster.ask(others[1], get("a"), { silent: leader }).reply).toMatchObject({ reply: "unavailable" });
    cluster.heal();
    cluster.run(2_000);
    expect(cluster.write(put("a", "goes on"), leader).reply.achieved).toBe("quorum");
    cluster.run(20_000);
    expect(cluster.pending).toBe(0);
  });

  it("[GR41] also one rolled back to just before its last wake: it counts the same again, and is another", () => {
    const { cluster, leader, others } = settled();
    const [victim] = others;
    cluster.evict(victim);
    const before = cluster.member(victim).rows.snapshot();
    const { incarnation } = cluster.replica(victim).inspect();
    cluster.write(put("a", "later"), leader);
    cluster.run(2_000);
    expect(cluster.replica(victim).inspect().incarnation).toBe(incarnation + 1);
    cluster.rollBack(victim, before);
    cluster.hung.add(leader);
    cluster.run(500);
    const third = others[1];
    cluster.ask(third, put2(), { silent: leader });
    expect(cluster.replica(victim).inspect()).toMatchObject({ regressed: true, incarnation: incarnation + 1 });
  });

  it("[GR41] also one rolled back within one life, where the leader of that time meets it", () => {
    const { cluster, leader, others } = settled();
    const [victim] = others;
    const before = cluster.member(victim).rows.snapshot();
    for (let i = 0; i < 3; i++) cluster.write(put("a", `later ${i}`), leader);
    cluster.run(1_000);
    cluster.rollBack(victim, before);
    cluster.write(put("a", "again"), leader);
    cluster.run(5_000);
    expect(cluster.replica(victim).inspect()).toMatchObject({ regressed: true });
  });

  it("[GR41] and one that meets somebody who only heard of its wakes from others", () => {
    const { cluster, leader, others } = settled();
    const [victim, third] = others;
    const before = cluster.member(victim).rows.snapshot();
    cluster.cut(victim, third);
    for (let wakes = 0; wakes < 3; wakes++) {
      cluster.evict(victim);
      cluster.write(put("a", `later ${wakes}`), leader);
      cluster.run(2_000);
    }
    cluster.rollBack(victim, before);
    cluster.heal();
    cluster.hung.add(leader);
    cluster.run(500);
    expect(cluster.ask(third, put2(), { silent: leader }).reply).toMatchObject({ reply: "unavailable" });
    expect(cluster.replica(victim).inspect()).toMatchObject({ regressed: true });
  });

  it("[GR41] and one that has woken so often since, meeting nobody, that it counts beyond the life it lost", () => {
    const { cluster, leader, others } = settled();
    const before = cluster.member(leader).rows.snapshot();
    for (const id of [leader, ...others]) cluster.evict(id);
    for (let i = 0; i < 3; i++) cluster.write(put("a", `kept ${i}`), leader);
    cluster.run(5_000);
    const { incarnation } = cluster.replica(leader).inspect();
    cluster.rollBack(leader, before);
    for (const id of others) cluster.hung.add(id);
    for (let wakes = 0; wakes < 3; wakes++) {
      cluster.evict(leader);
      cluster.begin(leader, put2());
      cluster.run(3_000);
    }
    expect(cluster.replica(leader).inspect().incarnation).toBeGreaterThan(incarnation);
    cluster.heal();
    // It believes that it leads the term in which it gave these places to other entries.
    const lost = cluster.begin(leader, put2());
    cluster.run(3_000);
    expect(lost.done?.reply.reply).not.toBe("ok");
    expect(cluster.replica(leader).inspect().regressed).toBe(true);
    cluster.write(put2().operation, others[0]);
    cluster.run(5_000);
    expect(new Set(others.map((id) => cluster.replica(id).store.digest())).size).toBe(1);
  });

  it("[GR41] one that names the leader of a time before finds out, and names nobody", () => {
    const { cluster, leader, others } = settled();
    const [next, third] = others;
    const before = cluster.member(next).rows.snapshot();
    cluster.evict(next);
    cluster.write(put("a", "2"), leader);
    cluster.run(1_000);
    expect(cluster.ask(leader, { ask: "transfer", to: next }).reply.reply).toBe("ok");
    cluster.write(put("a", "3"), next);
    cluster.run(10_000);
    for (const id of [leader, third]) cluster.evict(id);
    cluster.rollBack(next, before);
    // They send who asks from one to the other.
    expect(cluster.ask(leader, get("a")).reply).toMatchObject({ reply: "notLeader", leader: next });
    expect(cluster.ask(next, get("a")).reply).toMatchObject({ reply: "notLeader", leader });
    cluster.run(500);
    expect(cluster.ask(next, get("a")).reply).toMatchObject({ reply: "notLeader", leader: 0 });
    expect(cluster.ask(leader, get("a"), { silent: next }).reply.reply).toBe("ok");
  });

  it("[GR41] lives are remembered for as long as others may need them: a peer that missed many is no reason to doubt", () => {
    const { cluster, leader, others } = settled();
    const [away, other] = others;
    cluster.cut(leader, away);
    cluster.cut(other, away);
    for (let wakes = 0; wakes < 40; wakes++) {
      cluster.evict(leader);
      cluster.write(put("a", `${wakes}`), leader);
    }
    cluster.heal();
    cluster.write(put("a", "end"), leader);
    cluster.run(10_000);
    for (const id of [1, 2, 3]) expect(cluster.replica(id).inspect()).toMatchObject({ regressed: false });
    expect(new Set([1, 2, 3].map((id) => cluster.replica(id).store.digest())).size).toBe(1);
  });

  it("[GR41] nothing that a rolled back replica says counts, not even before it knows", () => {
    const { cluster, leader, others } = settled();
    const [victim, third] = others;
    const before = cluster.member(victim).rows.snapshot();
    for (let wakes = 0; wakes < 2; wakes++) {
      cluster.evict(victim);
      cluster.write(put("a", `later ${wakes}`), leader);
      cluster.run(2_000);
    }
    cluster.rollBack(victim, before);
    cluster.hung.add(leader);
    cluster.run(500);
    // It is woken by a request of its own, and asks for votes with an incarnation that is over.
    const asked = cluster.begin(victim, get("a"), { silent: leader });
    cluster.until(() => cluster.replica(victim).inspect().regressed, 2_000);
    cluster.until(() => asked.done !== null, 3_000);
    expect(asked.done?.reply.reply).toMatch(/notLeader|unavailable/);
    expect(cluster.replica(third).inspect().vote).not.toBe(victim);
  });

  it("[GR41] a leader that was rolled back and goes on in its term does not give its entries' places to others", () => {
    const { cluster, leader, others } = settled();
    const before = cluster.member(leader).rows.snapshot();
    for (const id of [leader, ...others]) cluster.evict(id);
    for (let i = 0; i < 3; i++) cluster.write(put("a", `kept ${i}`), leader);
    cluster.run(5_000);
    cluster.rollBack(leader, before);
    // It believes that it leads the term in which these places are taken.
    const lost = cluster.begin(leader, { ask: "write", operation: put("a", "in their place"), session: null });
    cluster.run(3_000);
    expect(lost.done?.reply.reply).not.toBe("ok");
    const { reply } = cluster.write(put("b", "1"), others[0]);
    expect(reply.revision).toBe(6);
    cluster.run(5_000);
    expect(new Set(others.map((id) => cluster.replica(id).store.digest())).size).toBe(1);
    expect(cluster.replica(leader).inspect().regressed).toBe(true);
  });

  it("[GR41] words of a life that is over are not looked at, and answered with which one is known", () => {
    const [one, two] = [new MemoryJournalStorage(), new MemoryJournalStorage()];
    for (const rows of [one, two]) Replica.found(rows, [1, 2, 3]);
    let seed = 0;
    const open = (rows: MemoryJournalStorage, id: number) => Replica.open(rows, { id, random: seeded(++seed), placement: "simulated" })!;
    const callOf = (replica: Replica) => {
      const { calls } = replica.ask(1, get("a"), NO_HINT, 1_000);
      return calls.find(({ to }) => to === 2)!.bytes.slice();
    };
    const disk = one.snapshot();
    const former = callOf(open(one, 1));
    const present = callOf(open(one, 1));
    // Rolled back to before both: it counts to where the first life was, and is neither.
    one.restore(disk);
    const again = callOf(open(one, 1));
    const peer = open(two, 2);
    const said = (bytes: Uint8Array) => decodeEnvelope(peer.step(bytes, 2_000).answer!.slice());
    expect(said(former).messages.map(({ type }) => type)).toEqual(["preVoteResponse"]);
    // The same count as the life it knows, but another life.
    const other = said(again);
    expect([other.messages, other.superseded]).toEqual([[], decodeEnvelope(former).incarnation]);
    expect(said(present).messages).toHaveLength(1);
    const late = said(former);
    expect([late.messages, late.superseded]).toEqual([[], decodeEnvelope(present).incarnation]);
  });

  it("[GR42] an answer of a former life, or to one, does no harm", () => {
    const { cluster, leader, others } = settled();
    cluster.delay = 50;
    for (let i = 0; i < 30; i++) {
      cluster.begin(leader, { ask: "write", operation: put("a", `${i}`), session: null });
      cluster.run(30 + (i % 7) * 11);
      cluster.evict([leader, ...others][i % 3]!);
    }
    cluster.run(20_000);
    for (const id of [1, 2, 3]) expect(cluster.replica(id).inspect().regressed).toBe(false);
    cluster.write(put("a", "end"), leader);
    cluster.run(10_000);
    expect(new Set([1, 2, 3].map((id) => cluster.replica(id).store.digest())).size).toBe(1);
  });
});

function put2() {
  return { ask: "write", operation: put("b", "1"), session: null } as const;
}
