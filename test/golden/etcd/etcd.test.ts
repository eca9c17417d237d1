import { describe, expect, it } from "vitest";
import { GOLDEN_SEEDS, readGolden, readRefusals } from "../../../scripts/verify/etcd/golden.ts";
import { LocalTarget } from "../../../scripts/verify/etcd/local.ts";
import { REFUSED, SETUP } from "../../../scripts/verify/etcd/refusals.ts";
import { Run } from "../../../scripts/verify/etcd/run.ts";

describe("what a real etcd answered", () => {
  for (const seed of GOLDEN_SEEDS) {
    const { etcd, pairs } = readGolden(seed);
    it(`etcd ${etcd}, seed ${seed}: ${pairs.length} steps, the same through our codec and store`, async () => {
      const run = new Run([new LocalTarget()], { keep: true });
      for (const [at, golden] of pairs.entries()) {
        const mismatch = await run.step(golden);
        expect(mismatch, `step ${golden.index}`).toBeNull();
        expect(run.pairs[at], `step ${golden.index}`).toEqual(golden);
      }
      await run.close();
    });
  }

  const { etcd, answers } = readRefusals();
  it.each(REFUSED.filter(({ auth }) => auth === undefined))(`etcd ${etcd} refuses $name, and so do we`, async ({ name, path, body }) => {
    const target = new LocalTarget();
    for (const step of SETUP) expect((await target.call(step.path, step.body)).status).toBe(200);
    expect(await target.call(path, body())).toEqual(answers[name]);
  });

  it("holds requests of every kind, refused ones too", () => {
    const pairs = GOLDEN_SEEDS.flatMap((seed) => readGolden(seed).pairs);
    const paths = new Set(pairs.flatMap(({ step }) => ("path" in step ? [step.path] : [])));
    for (const path of ["kv/range", "kv/put", "kv/deleterange", "kv/txn", "kv/compaction", "lease/grant", "watch", "lock/lock"])
      expect(paths).toContain(path);
    const statuses = new Set(pairs.map(({ status }) => status));
    for (const status of [200, 400, 404, 412, 500]) expect(statuses).toContain(status);
    expect(pairs.length).toBeGreaterThan(400);
  });
});
