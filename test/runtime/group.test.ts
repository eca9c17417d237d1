import { evictAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { get, put } from "../../core/consensus/replica/cluster.fixture.ts";
import { type Ask, type Hint, NO_HINT, type Reply } from "../../core/consensus/replica/types.ts";
import { replicaName } from "../../durable-objects/group/names.ts";

const scope = { project: "main", jurisdiction: "global" } as const;
let groups = 0;

async function makeGroup(voters: number[]) {
  const name = `runtime-${groups++}`;
  const stub = (id: number) => env.GROUP.getByName(replicaName(scope, name, 1, id));
  for (const id of voters) await stub(id).configure({ kind: "found", voters, state: new Uint8Array() });
  const ask = async (id: number, ask: Ask, hint: Hint = NO_HINT): Promise<Reply> => (await stub(id).ask(ask, hint)).value as Reply;
  const write = (id: number, key: string, value: string, hint?: Hint) =>
    ask(id, { ask: "write", operation: put(key, value), session: null }, hint);
  return { name, stub, ask, write };
}

describe("a group in workerd", () => {
  it("elects, writes, reads, and goes on after every replica was evicted", async () => {
    const { ask, write } = await makeGroup([1, 2, 3]);
    expect(await write(1, "a", "1")).toMatchObject({ reply: "ok", achieved: "quorum", placement: "simulated", revision: 2 });
    expect(await ask(1, get("a"))).toMatchObject({ reply: "ok", achieved: "linearizable" });
    for (let round = 0; round < 3; round++) {
      await evictAllDurableObjects();
      const read = await ask(1, get("a"));
      expect(read).toMatchObject({ reply: "ok", achieved: "linearizable", revision: 2 + round });
      await evictAllDurableObjects();
      expect(await write(1, "a", String(round))).toMatchObject({ reply: "ok", revision: 3 + round });
    }
  });
});
