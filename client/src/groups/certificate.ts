/**
 * `@skerry/client/certificate`: votes that agents sign, certificates that anyone verifies, proofs that a member lied. Needs
 * no deployment and trusts none: what holds the votes and passes them on is a mailbox.
 */
import { signedBytes } from "../../../core/consensus/certificate/encoding.ts";
import type { Statement, VerifySignature, Vote } from "../../../core/consensus/certificate/types.ts";

export { type Collected, VoteCollector } from "../../../core/consensus/certificate/collector.ts";
export {
  decodeCertificate,
  decodeEquivocation,
  decodeVote,
  encodeCertificate,
  encodeEquivocation,
  encodeVote,
  signedBytes,
} from "../../../core/consensus/certificate/encoding.ts";
export { type Member, MemberSet } from "../../../core/consensus/certificate/members.ts";
export {
  type Certificate,
  CertificateError,
  type CertificateErrorCode,
  type Equivocation,
  type Statement,
  type VerifySignature,
  type Vote,
  type VoteKind,
} from "../../../core/consensus/certificate/types.ts";
export {
  assembleCertificate,
  type Expected,
  equivocationOf,
  verifyCertificate,
  verifyEquivocation,
  verifyVote,
} from "../../../core/consensus/certificate/verify.ts";

const ALGORITHM = "Ed25519";
/** Keys of the members that were asked about last; a council is small. */
const MAX_KEYS = 1024;
const keys = new Map<string, Promise<CryptoKey>>();

/**
 * Verifies Ed25519 signatures with the platform's WebCrypto (browsers of 2025 and later, Node, Workers). Rejects with the
 * platform's `NotSupportedError` where there is no Ed25519: then nothing is known of the signature.
 *
 * @example
 * const members = new MemberSet("release", 1, agents);
 * await verifyCertificate(decodeCertificate(bytes), members, verifySignature, { kind: "precommit", height: 7 });
 */
export const verifySignature: VerifySignature = async (publicKey, message, signature) => {
  const key = await importKey(publicKey);
  return key !== null && (await crypto.subtle.verify(ALGORITHM, key, signature as BufferSource, message as BufferSource));
};

/**
 * Signs a statement as `member` with its private key. An agent must sign at most one value a place (epoch, height, round and
 * kind): two are an {@link Equivocation}. So write down what you sign before you send it.
 *
 * @example
 * const vote = await signVote({ council: "release", epoch: 1, height: 7, round: 0, kind: "precommit", value: digest }, "ada", privateKey);
 * await fetch("https://mailbox.example/votes", { method: "POST", body: encodeVote(vote) });
 */
export async function signVote(statement: Statement, member: string, privateKey: CryptoKey): Promise<Vote> {
  const message = signedBytes(statement, member);
  return { statement, member, signature: new Uint8Array(await crypto.subtle.sign(ALGORITHM, privateKey, message)) };
}

/** Null where the bytes are no public key. */
async function importKey(publicKey: Uint8Array): Promise<CryptoKey | null> {
  const name = publicKey.join();
  let key = keys.get(name);
  if (key === undefined) {
    key = crypto.subtle.importKey("raw", publicKey as BufferSource, ALGORITHM, false, ["verify"]);
    if (keys.size >= MAX_KEYS) keys.clear();
    keys.set(name, key);
  }
  try {
    return await key;
  } catch (error) {
    keys.delete(name);
    // DataError: the platform has the algorithm, and the bytes are no point of the curve.
    if ((error as Error).name === "DataError") return null;
    throw error;
  }
}
