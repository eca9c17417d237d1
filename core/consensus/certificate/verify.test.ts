import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { agent, council, digest, hashAgent, hashVerify, nodeVerify, vote } from "../../../test/golden/certificate.fixture.ts";
import { MemberSet } from "./members.ts";
import { type Certificate, CertificateError, type CertificateErrorCode, type Statement, type Vote } from "./types.ts";
import { assembleCertificate, equivocationOf, verifyCertificate, verifyEquivocation, verifyVote } from "./verify.ts";

const agents = ["ada", "bo", "cy", "dee"].map(agent);
const [ada, bo, cy, dee] = agents as [(typeof agents)[0], (typeof agents)[0], (typeof agents)[0], (typeof agents)[0]];
const members = council(agents);
const stranger = agent("stranger");

const codeOf = async (attempt: () => unknown): Promise<CertificateErrorCode | "none"> => {
  try {
    await attempt();
    return "none";
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    expect(error.message.length).toBeGreaterThan(20);
    return error.code;
  }
};
const certify = (votes: Vote[]) => assembleCertificate(votes, members);
const good = certify([vote(ada), vote(bo), vote(cy)]);

describe("members", () => {
  it.each([
    [1, 0, 1],
    [2, 0, 2],
    [3, 0, 2],
    [4, 1, 3],
    [5, 1, 4],
    [6, 1, 4],
    [7, 2, 5],
    [10, 3, 7],
    [100, 33, 67],
  ])("[CM1] of %i tolerate %i liars and decide with %i", (n, faults, quorum) => {
    const set = council(Array.from({ length: n }, (_, i) => hashAgent(`a${i}`)));
    expect([set.faults, set.quorum]).toEqual([faults, quorum]);
  });

  it("[CM1] have the least quorum of which any two share an honest member, and which the honest ones alone reach", () => {
    for (let n = 1; n <= 200; n++) {
      const { faults, quorum } = council(Array.from({ length: n }, (_, i) => hashAgent(`a${i}`)));
      expect(n).toBeGreaterThanOrEqual(3 * faults + 1);
      expect(quorum).toBeGreaterThanOrEqual(2 * faults + 1);
      expect(2 * quorum - n).toBeGreaterThan(faults);
      expect(2 * (quorum - 1) - n).toBeLessThanOrEqual(faults);
      expect(quorum).toBeLessThanOrEqual(n - faults);
    }
  });

  it("[CM2] are refused where one could count twice, or where a name, key or epoch cannot be", async () => {
    const key = ada.publicKey;
    const sets: [string, number, { id: string; publicKey: Uint8Array }[]][] = [
      ["c", 1, []],
      ["c", 1, [ada, { id: "ada", publicKey: bo.publicKey }]],
      ["c", 1, [ada, { id: "other", publicKey: key }]],
      ["c", 1, [{ id: "x", publicKey: key.slice(1) }]],
      ["c", 1, [{ id: "", publicKey: key }]],
      ["c", 1, [{ id: "\ud800", publicKey: key }]],
      ["c", 1, [{ id: "x".repeat(257), publicKey: key }]],
      ["", 1, [ada]],
      ["c", -1, [ada]],
      ["c", 1.5, [ada]],
    ];
    for (const [name, epoch, list] of sets) expect(await codeOf(() => new MemberSet(name, epoch, list))).toBe("badMembers");
  });

  it("[CM2] cannot be changed through what was passed in", () => {
    const publicKey = ada.publicKey.slice();
    const set = new MemberSet("release", 1, [{ id: "ada", publicKey }]);
    publicKey.fill(0);
    expect(set.publicKey("ada")).toEqual(ada.publicKey);
  });
});

describe("a certificate", () => {
  it("[CC1] holds with a quorum of signatures, whatever the order of the votes, and with all", async () => {
    const votes = [vote(cy), vote(ada), vote(bo)];
    expect(certify(votes)).toEqual(good);
    await verifyCertificate(good, members, nodeVerify);
    await verifyCertificate(certify([...votes, vote(dee)]), members, nodeVerify, {
      height: 7,
      round: 0,
      kind: "precommit",
      value: digest("yes"),
    });
  });

  it.each<[string, CertificateErrorCode, () => Certificate]>([
    ["one signature too few", "tooFew", () => ({ ...good, signatures: good.signatures.slice(1) })],
    ["no signature", "tooFew", () => ({ ...good, signatures: [] })],
    ["a member twice", "duplicateMember", () => ({ ...good, signatures: [0, 0, 1].map((i) => good.signatures[i]!) })],
    [
      "someone who is no member",
      "unknownMember",
      () => ({ ...good, signatures: [...good.signatures, { member: "stranger", signature: vote(stranger).signature }] }),
    ],
    [
      "a member's id with a stranger's signature",
      "badSignature",
      () => ({ ...good, signatures: [...good.signatures, { member: "dee", signature: vote(stranger).signature }] }),
    ],
    [
      "a signature of one member under another's name",
      "badSignature",
      () => ({ ...good, signatures: [...good.signatures, { member: "dee", signature: vote(ada).signature }] }),
    ],
    [
      "one bad signature beyond the quorum",
      "badSignature",
      () => ({ ...good, signatures: [...good.signatures, { member: "dee", signature: new Uint8Array(64) }] }),
    ],
    ["signatures of other values", "badSignature", () => ({ ...good, statement: { ...good.statement, value: digest("no") } })],
    ["signatures of another height", "badSignature", () => ({ ...good, statement: { ...good.statement, height: 8 } })],
    ["signatures of another round", "badSignature", () => ({ ...good, statement: { ...good.statement, round: 1 } })],
    ["signatures of another kind", "badSignature", () => ({ ...good, statement: { ...good.statement, kind: "commit" } })],
    ["another council", "wrongCouncil", () => ({ ...good, statement: { ...good.statement, council: "other" } })],
    ["another epoch", "wrongEpoch", () => ({ ...good, statement: { ...good.statement, epoch: 2 } })],
    ["members that do not ascend", "malformed", () => ({ ...good, signatures: [...good.signatures].reverse() })],
    ["a digest of another length", "malformed", () => ({ ...good, statement: { ...good.statement, value: new Uint8Array(20) } })],
    [
      "a signature of another length",
      "malformed",
      () => ({ ...good, signatures: good.signatures.map((each) => ({ ...each, signature: new Uint8Array(63) })) }),
    ],
    ["a height that is no number", "malformed", () => ({ ...good, statement: { ...good.statement, height: Number.NaN } })],
    ["a kind that there is not", "malformed", () => ({ ...good, statement: { ...good.statement, kind: "maybe" as never } })],
  ])("[CC2] with %s is %s", async (_, code, make) => {
    expect(await codeOf(() => verifyCertificate(make(), members, nodeVerify))).toBe(code);
  });

  it("[CC2] names who is to blame", async () => {
    const forged = {
      ...good,
      signatures: good.signatures.map((each) => (each.member === "bo" ? { ...each, signature: new Uint8Array(64) } : each)),
    };
    await expect(verifyCertificate(forged, members, nodeVerify)).rejects.toMatchObject({ code: "badSignature", member: "bo" });
  });

  it("[CC3] is not taken for what was not asked", async () => {
    for (const other of [{ height: 8 }, { round: 1 }, { kind: "commit" }, { value: digest("no") }] as Partial<Statement>[])
      expect(await codeOf(() => verifyCertificate(good, members, nodeVerify, other))).toBe("otherStatement");
  });

  it("[CC4] where the platform cannot verify, its error is passed on: nobody may take that for a bad signature", async () => {
    const cannot = () => Promise.reject(new DOMException("no Ed25519", "NotSupportedError"));
    await expect(verifyCertificate(good, members, cannot)).rejects.toMatchObject({ name: "NotSupportedError" });
  });

  it.each<[string, CertificateErrorCode, () => Vote[]]>([
    ["different values", "mixedValues", () => [vote(ada), vote(bo), vote(cy, { value: digest("no") })]],
    ["different rounds", "mixedValues", () => [vote(ada), vote(bo), vote(cy, { round: 1 })]],
    ["different kinds", "mixedValues", () => [vote(ada), vote(bo), vote(cy, { kind: "prevote" })]],
    ["a member twice", "duplicateMember", () => [vote(ada), vote(bo), vote(bo)]],
    ["a stranger", "unknownMember", () => [vote(ada), vote(bo), vote(stranger)]],
    ["too few", "tooFew", () => [vote(ada), vote(bo)]],
    ["none", "tooFew", () => []],
    ["another epoch", "wrongEpoch", () => [vote(ada), vote(bo), vote(cy, { epoch: 2 })]],
    ["another council", "wrongCouncil", () => [vote(ada, { council: "x" })]],
  ])("[CC5] is not made of votes with %s", async (_, code, votes) => {
    expect(await codeOf(() => certify(votes()))).toBe(code);
  });
});

describe("liars", () => {
  /** Everyone's votes at one place: the honest vote once or not at all, liars for everything that there is. */
  const election = (most: (faults: number) => number) =>
    fc.integer({ min: 1, max: 13 }).chain((n) => {
      const set = council(Array.from({ length: n }, (_, i) => hashAgent(`a${i}`)));
      const liars = fc.integer({ min: 0, max: Math.min(n, most(set.faults)) });
      return fc.record({
        set: fc.constant(set),
        liars,
        choices: fc.array(fc.option(fc.integer({ min: 0, max: 2 })), { minLength: n, maxLength: n }),
      });
    });
  const certified = async ({ set, liars, choices }: { set: MemberSet; liars: number; choices: (number | null)[] }) => {
    let count = 0;
    for (const value of [0, 1, 2]) {
      const voters = choices.flatMap((choice, i) => (i < liars || choice === value ? [hashAgent(`a${i}`)] : []));
      if (voters.length < set.quorum) continue;
      const votes = voters.map((each) => vote(each, { value: digest(`${value}`) }));
      await verifyCertificate(assembleCertificate(votes, set), set, hashVerify);
      count++;
    }
    return count;
  };

  it("[CC6] as few as a council tolerates cannot make two certificates that contradict each other", async () => {
    let decided = 0;
    await fc.assert(
      fc.asyncProperty(
        election((faults) => faults),
        async (votes) => {
          const count = await certified(votes);
          decided += count;
          expect(count).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 400 },
    );
    expect(decided).toBeGreaterThan(40);
  });

  it("[CC6] one more can, so the bound is what is checked", async () => {
    let broken = 0;
    await fc.assert(
      fc.asyncProperty(
        election((faults) => faults + 1),
        async (votes) => {
          if ((await certified(votes)) > 1) broken++;
        },
      ),
      { numRuns: 1000 },
    );
    expect(broken).toBeGreaterThan(0);
  });

  it("[CC6] two certificates that contradict each other convict more members than are tolerated", async () => {
    const yes = [ada, bo, cy].map((each) => vote(each));
    const no = [bo, cy, dee].map((each) => vote(each, { value: digest("no") }));
    for (const votes of [yes, no]) await verifyCertificate(certify(votes), members, nodeVerify);
    const convicted = new Set<string>();
    for (const a of yes) {
      for (const b of no) {
        const proof = equivocationOf(a, b);
        if (proof !== null) convicted.add((await verifyEquivocation(proof, members, nodeVerify)).member);
      }
    }
    expect(convicted).toEqual(new Set(["bo", "cy"]));
    expect(convicted.size).toBeGreaterThan(members.faults);
  });
});

describe("equivocation", () => {
  const proof = equivocationOf(vote(ada), vote(ada, { value: digest("no") }))!;

  it("[CE1] is proved by two votes at one place, the same proof whichever came first", async () => {
    expect(equivocationOf(vote(ada, { value: digest("no") }), vote(ada))).toEqual(proof);
    expect(await verifyEquivocation(proof, members, nodeVerify)).toEqual({ member: "ada" });
  });

  it.each<[string, Vote]>([
    ["the same value", vote(ada)],
    ["another round", vote(ada, { round: 1, value: digest("no") })],
    ["another height", vote(ada, { height: 8, value: digest("no") })],
    ["another kind", vote(ada, { kind: "prevote", value: digest("no") })],
    ["another epoch", vote(ada, { epoch: 2, value: digest("no") })],
    ["another member", vote(bo, { value: digest("no") })],
  ])("[CE2] is not two votes of which one is of %s", async (_, other) => {
    expect(equivocationOf(vote(ada), other)).toBeNull();
    expect(await codeOf(() => verifyEquivocation({ first: vote(ada), second: other }, members, nodeVerify))).toBe("notEquivocation");
  });

  it("[CE3] cannot be made up: both signatures are the member's own", async () => {
    for (const name of ["first", "second"] as const) {
      const forged = { ...proof, [name]: { ...proof[name], signature: stranger.sign(new Uint8Array(1)) } };
      expect(await codeOf(() => verifyEquivocation(forged, members, nodeVerify))).toBe("badSignature");
    }
    expect(await codeOf(() => verifyEquivocation({ first: proof.second, second: proof.first }, members, nodeVerify))).toBe("malformed");
    expect(await codeOf(() => verifyEquivocation(proof, council(agents, 2), nodeVerify))).toBe("wrongEpoch");
    expect(await codeOf(() => verifyVote(vote(stranger), members, nodeVerify))).toBe("unknownMember");
  });
});
