import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { agent, council, digest, nodeVerify, statement, vote } from "../../../test/golden/certificate.fixture.ts";
import { ByteWriter } from "./bytes.ts";
import {
  decodeCertificate,
  decodeEquivocation,
  decodeVote,
  encodeCertificate,
  encodeEquivocation,
  encodeVote,
  signedBytes,
} from "./encoding.ts";
import { CertificateError, type Statement, VOTE_KINDS } from "./types.ts";
import { assembleCertificate, equivocationOf, verifyCertificate, verifyEquivocation, verifyVote } from "./verify.ts";

const agents = ["ada", "bo", "cy", "dee"].map(agent);
const members = council(agents);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const whole = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.maxSafeNat());
const anyStatement: fc.Arbitrary<Statement> = fc.record({
  council: text,
  epoch: whole,
  height: whole,
  round: whole,
  kind: fc.constantFrom(...VOTE_KINDS),
  value: fc.uint8Array({ minLength: 32, maxLength: 32 }),
});
const signature = fc.uint8Array({ minLength: 64, maxLength: 64 });

describe("what is signed", () => {
  it("[CB1] differs where the statement or the member does", () => {
    const one = fc.tuple(anyStatement, text);
    fc.assert(
      fc.property(one, one, ([a, x], [b, y]) => {
        const same = x === y && JSON.stringify({ ...a, value: [...a.value] }) === JSON.stringify({ ...b, value: [...b.value] });
        expect(hex(signedBytes(a, x)) === hex(signedBytes(b, y))).toBe(same);
      }),
      { numRuns: 2000 },
    );
    // Parts that would run together without their lengths.
    expect(signedBytes(statement({ council: "ab" }), "c")).not.toEqual(signedBytes(statement({ council: "a" }), "bc"));
  });

  it("[CB2] begins with the domain and the version", () => {
    const domain = new TextEncoder().encode("skerry/council-vote");
    expect(signedBytes(statement(), "ada").slice(0, domain.length + 3)).toEqual(Uint8Array.of(0, domain.length, ...domain, 1));
  });
});

describe("the formats", () => {
  it("[CB3] read back what was written, byte for byte the same again", () => {
    fc.assert(
      fc.property(
        anyStatement,
        fc.array(fc.record({ member: text, signature }), { maxLength: 5 }),
        text,
        signature,
        (stated, list, member, signed) => {
          const certificate = { statement: stated, signatures: list };
          expect(decodeCertificate(encodeCertificate(certificate))).toEqual(certificate);
          const one = { statement: stated, member, signature: signed };
          expect(decodeVote(encodeVote(one))).toEqual(one);
          const proof = { first: one, second: one };
          expect(decodeEquivocation(encodeEquivocation(proof))).toEqual(proof);
        },
      ),
    );
  });

  it("[CB4] any bytes are read or refused with a reason, and what is read has this one spelling", () => {
    const prefix = fc.constantFrom([1, 1], [1, 2], [1, 3], []);
    const decoders = [
      [decodeVote, encodeVote],
      [decodeCertificate, encodeCertificate],
      [decodeEquivocation, encodeEquivocation],
    ] as unknown as [(bytes: Uint8Array) => never, (value: never) => Uint8Array][];
    fc.assert(
      fc.property(prefix, fc.uint8Array({ maxLength: 400 }), (start, rest) => {
        const bytes = Uint8Array.from([...start, ...rest]);
        for (const [decode, encode] of decoders) {
          let read: never;
          try {
            read = decode(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(CertificateError);
            continue;
          }
          expect(encode(read)).toEqual(bytes);
        }
      }),
    );
  });

  it("[CB5] a later version is called that, not damage", () => {
    const bytes = encodeVote(vote(agents[0]!));
    bytes[0] = 2;
    expect(() => decodeVote(bytes)).toThrow(expect.objectContaining({ code: "unsupportedVersion" }));
  });

  it("[CB3] a number beyond 2^53 is refused, not rounded", () => {
    const bytes = new ByteWriter().u8(1).u8(1).text("c").raw(new Uint8Array(24).fill(255)).u8(1).raw(new Uint8Array(32)).done();
    expect(() => decodeVote(bytes)).toThrow(expect.objectContaining({ code: "malformed", message: expect.stringContaining("2^53") }));
  });
});

describe("damage", () => {
  const votes = agents.slice(0, 3).map((each) => vote(each));
  const proof = equivocationOf(votes[0]!, vote(agents[0]!, { value: digest("no") }))!;
  const cases: [string, Uint8Array, (bytes: Uint8Array) => Promise<unknown>][] = [
    ["vote", encodeVote(votes[0]!), (bytes) => verifyVote(decodeVote(bytes), members, nodeVerify)],
    [
      "certificate",
      encodeCertificate(assembleCertificate(votes, members)),
      (bytes) => verifyCertificate(decodeCertificate(bytes), members, nodeVerify),
    ],
    ["proof of equivocation", encodeEquivocation(proof), (bytes) => verifyEquivocation(decodeEquivocation(bytes), members, nodeVerify)],
  ];
  const refused = (check: (bytes: Uint8Array) => Promise<unknown>, bytes: Uint8Array) =>
    (async () => check(bytes))().then(
      () => false,
      (error: unknown) => error instanceof CertificateError,
    );

  it.each(cases)("[CB6] of any one byte of a %s, or any cut, is found", async (_, bytes, check) => {
    await check(bytes);
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at]! ^= 1 << (at % 8);
      expect(await refused(check, damaged), `byte ${at}`).toBe(true);
      expect(await refused(check, bytes.slice(0, at)), `cut at ${at}`).toBe(true);
    }
    expect(await refused(check, Uint8Array.from([...bytes, 0]))).toBe(true);
  });

  it.each(cases)("[CB6] of any number of bytes of a %s is found", async (_, bytes, check) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }),
        async (flips) => {
          const damaged = bytes.slice();
          for (const [at, mask] of flips) damaged[at]! ^= mask;
          if (hex(damaged) !== hex(bytes)) expect(await refused(check, damaged)).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });
});

type Golden = {
  agents: { id: string; publicKey: string }[];
  votes: { statement: Omit<Statement, "value"> & { value: string }; member: string; signed: string; signature: string; encoded: string }[];
  certificate: string;
  equivocation: string;
};
const GOLDEN = fileURLToPath(new URL("../../../test/golden/certificate-v1.golden.json", import.meta.url));

describe("format 1", () => {
  const golden = JSON.parse(readFileSync(GOLDEN, "utf8")) as Golden;
  const bytes = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

  it("[CB7] is what it was: the bytes to sign, the signatures that Node's crypto makes of them, and all that is encoded", async () => {
    expect(golden.votes.length).toBeGreaterThan(5);
    for (const each of golden.votes) {
      const by = agent(each.member);
      expect(hex(by.publicKey)).toBe(golden.agents.find(({ id }) => id === each.member)?.publicKey);
      const stated = { ...each.statement, value: bytes(each.statement.value) };
      const signed = signedBytes(stated, each.member);
      expect(hex(signed)).toBe(each.signed);
      expect(hex(by.sign(signed))).toBe(each.signature);
      expect(decodeVote(bytes(each.encoded))).toEqual({ statement: stated, member: each.member, signature: bytes(each.signature) });
      expect(hex(encodeVote(decodeVote(bytes(each.encoded))))).toBe(each.encoded);
    }
    const set = council(golden.agents.map(({ id }) => agent(id)));
    await verifyCertificate(decodeCertificate(bytes(golden.certificate)), set, nodeVerify, { height: 7, kind: "precommit" });
    expect(await verifyEquivocation(decodeEquivocation(bytes(golden.equivocation)), set, nodeVerify)).toEqual({ member: "ada" });
  });
});
