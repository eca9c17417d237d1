import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { agent, council, digest, hashAgent, hashVerify, nodeVerify, vote } from "../../../test/golden/certificate.fixture.ts";
import { MAX_PLACES, VoteCollector } from "./collector.ts";
import { verifyCertificate, verifyEquivocation } from "./verify.ts";

const agents = ["ada", "bo", "cy", "dee"].map(agent);
const [ada, bo, cy, dee] = agents as [(typeof agents)[0], (typeof agents)[0], (typeof agents)[0], (typeof agents)[0]];
const members = council(agents);

describe("a collector", () => {
  it("[CL1] counts to a certificate, which later votes make larger", async () => {
    const collector = new VoteCollector(members, 7, nodeVerify);
    expect(await collector.add(vote(cy))).toEqual({ outcome: "counted", have: 1, need: 3 });
    expect(await collector.add(vote(cy))).toEqual({ outcome: "known" });
    expect(await collector.add(vote(bo, { kind: "prevote" }))).toEqual({ outcome: "counted", have: 1, need: 3 });
    expect(await collector.add(vote(ada))).toEqual({ outcome: "counted", have: 2, need: 3 });
    for (const [by, count] of [
      [bo, 3],
      [dee, 4],
    ] as const) {
      const made = await collector.add(vote(by));
      if (made.outcome !== "certificate") throw new Error(made.outcome);
      expect(made.certificate.signatures.length).toBe(count);
      await verifyCertificate(made.certificate, members, nodeVerify, { height: 7, value: digest("yes") });
    }
  });

  it("[CL2] proves equivocation, and goes on with the first vote", async () => {
    const collector = new VoteCollector(members, 7, nodeVerify);
    await collector.add(vote(ada));
    const made = await collector.add(vote(ada, { value: digest("no") }));
    if (made.outcome !== "equivocation") throw new Error(made.outcome);
    expect(await verifyEquivocation(made.proof, members, nodeVerify)).toEqual({ member: "ada" });
    await collector.add(vote(bo));
    expect(await collector.add(vote(cy))).toMatchObject({ outcome: "certificate" });
  });

  it("[CL3] takes no vote that does not verify, and holds few of one that lies", async () => {
    const collector = new VoteCollector(members, 7, nodeVerify);
    await expect(collector.add({ ...vote(ada), signature: vote(bo).signature })).rejects.toMatchObject({ code: "badSignature" });
    await expect(collector.add(vote(ada, { height: 8 }))).rejects.toMatchObject({ code: "otherStatement" });
    await expect(collector.add(vote(agent("eve")))).rejects.toMatchObject({ code: "unknownMember" });
    await expect(collector.add(vote(ada, { epoch: 2 }))).rejects.toMatchObject({ code: "wrongEpoch" });
    for (let round = 0; round < MAX_PLACES; round++) await collector.add(vote(ada, { round }));
    await expect(collector.add(vote(ada, { round: MAX_PLACES }))).rejects.toMatchObject({ code: "tooMany", member: "ada" });
    expect(await collector.add(vote(bo, { round: MAX_PLACES }))).toMatchObject({ outcome: "counted" });
  });

  it("[CL4] gives, whatever comes in whatever order and at the same time, at most one value's certificate, or proof against more than it tolerates", async () => {
    const voters = Array.from({ length: 7 }, (_, i) => hashAgent(`a${i}`));
    const set = council(voters);
    const cast = fc.record({ by: fc.nat(6), value: fc.constantFrom("yes", "yes", "yes", "yes", "yes", "no"), late: fc.nat(3) });
    let certified = 0;
    let convictions = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(cast, { maxLength: 40 }), async (casts) => {
        const collector = new VoteCollector(set, 7, async (...args) => {
          for (let i = casts.length % 4; i > 0; i--) await null;
          return hashVerify(...args);
        });
        const results = await Promise.all(
          casts.map(async ({ by, value, late }) => {
            for (let i = late; i > 0; i--) await null;
            return collector.add(vote(voters[by]!, { value: digest(value) }));
          }),
        );
        const values = new Set<string>();
        const liars = new Set<string>();
        for (const each of results) {
          if (each.outcome === "certificate") {
            await verifyCertificate(each.certificate, set, hashVerify);
            values.add(each.certificate.statement.value.join());
            expect(new Set(each.certificate.signatures.map(({ member }) => member)).size).toBe(each.certificate.signatures.length);
          } else if (each.outcome === "equivocation") {
            liars.add((await verifyEquivocation(each.proof, set, hashVerify)).member);
          }
        }
        expect(values.size).toBeLessThanOrEqual(1);
        const both = (i: number) => new Set(casts.filter(({ by }) => by === i).map(({ value }) => value)).size > 1;
        expect(liars).toEqual(new Set(voters.filter((_, i) => both(i)).map(({ id }) => id)));
        certified += values.size;
        convictions += liars.size;
      }),
    );
    expect(certified).toBeGreaterThan(10);
    expect(convictions).toBeGreaterThan(10);
  });
});
