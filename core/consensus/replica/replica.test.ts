import { describe, expect, it } from "vitest";
import { Cluster, get, put, shown } from "./cluster.fixture.ts";

describe("a group at work", () => {
  it("elects, writes and reads", () => {
    const cluster = new Cluster([1, 2, 3]);
    const first = cluster.begin(2, { ask: "write", operation: put("a", "1"), session: null });
    cluster.until(() => first.done !== null, 2_000);
    expect(first.done).toMatchObject({ reply: { reply: "ok", achieved: "quorum", revision: 2, placement: "simulated" } });
    expect(cluster.leader()).toBe(2);
    expect(shown(cluster.ask(2, get("a")))).toBe("1");
    expect(cluster.ask(1, get("a")).reply).toMatchObject({ reply: "notLeader", leader: 2 });
  });
  it("single", () => {
    const cluster = new Cluster([1]);
    for (let i = 0; i < 5; i++) cluster.write(put("a", String(i)));
    expect(shown(cluster.ask(1, get("a")))).toBe("4");
  });
});
