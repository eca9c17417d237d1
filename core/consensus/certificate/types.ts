/**
 * The vocabulary of signed votes: who may vote, what a vote says, what a quorum of votes proves. Rules: SPEC.md.
 */

/** In the order of their bytes in a signed message. `propose` is the proposer's own; the others are counted. */
export const VOTE_KINDS = ["propose", "prevote", "precommit", "commit"] as const;
export type VoteKind = (typeof VOTE_KINDS)[number];

/** Bytes of an Ed25519 public key, of a signature (RFC 8032), and of a value's digest. */
export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;
export const DIGEST_BYTES = 32;
/** UTF-8 bytes of a council's name and of a member's id. */
export const MAX_ID_BYTES = 256;
/** Members of a council. */
export const MAX_MEMBERS = 1024;

/** What a vote says. `epoch` names the member set; `height` counts decisions, `round` the attempts at one. All from 0 to 2^53 - 1. */
export type Statement = {
  council: string;
  epoch: number;
  height: number;
  round: number;
  kind: VoteKind;
  /** The digest of what is voted for, 32 bytes. Which digest, and of what, is the council's. */
  value: Uint8Array;
};

/** A statement that one member signed. */
export type Vote = { statement: Statement; member: string; signature: Uint8Array };

/** Signatures of a quorum under one statement, ascending by the UTF-8 bytes of `member`. */
export type Certificate = { statement: Statement; signatures: { member: string; signature: Uint8Array }[] };

/** Two votes of one member that cannot both be honest: the same place, different values; the one with the smaller value first. */
export type Equivocation = { first: Vote; second: Vote };

/** Ed25519 verification of the platform. Throws only where it cannot tell (no such algorithm); a bad signature is false. */
export type VerifySignature = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean | Promise<boolean>;

export const CERTIFICATE_ERRORS = {
  malformed: "The bytes are not what they should be",
  unsupportedVersion: "The format is of a version that this code does not know",
  badMembers: "The member set cannot be",
  wrongCouncil: "It is of another council",
  wrongEpoch: "It is of another member set",
  otherStatement: "It states something else than was asked",
  unknownMember: "A voter is not a member",
  duplicateMember: "A member is counted twice",
  tooFew: "Fewer members signed than a quorum has",
  mixedValues: "The votes do not state the same",
  badSignature: "A signature is not the member's",
  notEquivocation: "The two votes do not contradict each other",
  tooMany: "A member voted in more rounds than are kept",
} as const;
export type CertificateErrorCode = keyof typeof CERTIFICATE_ERRORS;

/** What is wrong with a vote, a certificate or a proof. `member` where one is to blame. */
export class CertificateError extends Error {
  readonly code: CertificateErrorCode;
  readonly member: string | null;
  constructor(code: CertificateErrorCode, detail: string, member: string | null = null) {
    super(`${CERTIFICATE_ERRORS[code]}. ${detail}`);
    this.name = "CertificateError";
    this.code = code;
    this.member = member;
  }
}
