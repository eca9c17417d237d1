import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { signedBytes } from "../../core/consensus/certificate/encoding.ts";
import { type Member, MemberSet } from "../../core/consensus/certificate/members.ts";
import type { Statement, VerifySignature, Vote } from "../../core/consensus/certificate/types.ts";

/** The header of an Ed25519 private key in PKCS #8 and of a public one in SPKI (RFC 8410), before the 32 bytes of the key. */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

export type Agent = Member & { sign(message: Uint8Array): Uint8Array };

/** An agent with a real key, always the same one for the same name. */
export function agent(id: string): Agent {
  const seed = createHash("sha256").update(`agent ${id}`).digest();
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });
  const publicKey = new Uint8Array(createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(SPKI.length));
  return { id, publicKey, sign: (message) => new Uint8Array(sign(null, message, privateKey)) };
}

/** Node's own Ed25519, which is not the one that the client uses. */
export const nodeVerify: VerifySignature = (publicKey, message, signature) => {
  const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: "der", type: "spki" });
  return verify(null, message, key, signature);
};

/** As unforgeable as a test needs, and fast: who knows a name can sign for it. */
export function hashAgent(id: string): Agent {
  const publicKey = new Uint8Array(createHash("sha256").update(id).digest());
  return { id, publicKey, sign: (message) => hashSign(publicKey, message) };
}

export const hashVerify: VerifySignature = (publicKey, message, signature) =>
  Buffer.from(hashSign(publicKey, message)).equals(Buffer.from(signature));

function hashSign(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha512").update(publicKey).update(message).digest());
}

export function council(agents: readonly Agent[], epoch = 1, name = "release"): MemberSet {
  return new MemberSet(
    name,
    epoch,
    agents.map(({ id, publicKey }) => ({ id, publicKey })),
  );
}

export const digest = (text: string) => new Uint8Array(createHash("sha256").update(text).digest());

export function statement(changes: Partial<Statement> = {}): Statement {
  return { council: "release", epoch: 1, height: 7, round: 0, kind: "precommit", value: digest("yes"), ...changes };
}

export function vote(by: Agent, changes: Partial<Statement> = {}): Vote {
  const stated = statement(changes);
  return { statement: stated, member: by.id, signature: by.sign(signedBytes(stated, by.id)) };
}
