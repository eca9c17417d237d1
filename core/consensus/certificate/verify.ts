import { compareBytes, compareText } from "./bytes.ts";
import { checkOrder, checkSignature, checkStatement, samePlace, sameStatement, signedBytes } from "./encoding.ts";
import type { MemberSet } from "./members.ts";
import { type Certificate, CertificateError, type Equivocation, type Statement, type VerifySignature, type Vote } from "./types.ts";

/** What a certificate must state: members that are left out may be anything. */
export type Expected = Partial<Pick<Statement, "height" | "round" | "kind" | "value">>;

/**
 * Resolves where `vote` is a member's own; throws {@link CertificateError} `malformed`, `wrongCouncil`, `wrongEpoch`,
 * `unknownMember` or `badSignature`.
 */
export async function verifyVote(vote: Vote, members: MemberSet, verify: VerifySignature): Promise<void> {
  checkStatement(vote.statement);
  checkSignature(vote.member, vote.signature);
  members.checkStatement(vote.statement);
  await checkSigned(vote.statement, vote.member, vote.signature, members, verify);
}

/**
 * Resolves where a quorum of `members` signed the certificate's statement, and it states what is `expected`. Every signature
 * must be good, not just a quorum of them. Throws {@link CertificateError}: `malformed`, `wrongCouncil`, `wrongEpoch`,
 * `otherStatement`, `unknownMember`, `duplicateMember`, `tooFew`, `badSignature`; signatures are looked at last.
 *
 * A quorum of prevotes decides nothing: say which `kind` you take for a decision.
 */
export async function verifyCertificate(
  certificate: Certificate,
  members: MemberSet,
  verify: VerifySignature,
  expected: Expected = {},
): Promise<void> {
  const { statement, signatures } = certificate;
  checkStatement(statement);
  members.checkStatement(statement);
  for (const name of ["height", "round", "kind"] as const) {
    if (expected[name] !== undefined && expected[name] !== statement[name])
      throw new CertificateError("otherStatement", `"${name}" is ${statement[name]}, not ${expected[name]}.`);
  }
  if (expected.value !== undefined && compareBytes(expected.value, statement.value) !== 0)
    throw new CertificateError("otherStatement", "It is about another value.");
  for (const { member, signature } of signatures) {
    checkSignature(member, signature);
    members.publicKey(member);
  }
  checkOrder(signatures);
  checkQuorum(signatures.length, members);
  await Promise.all(signatures.map(({ member, signature }) => checkSigned(statement, member, signature, members, verify)));
}

/**
 * Puts verified votes together. Throws {@link CertificateError}: `mixedValues` where they do not state the same,
 * `unknownMember`, `duplicateMember`, `tooFew`, `wrongCouncil`, `wrongEpoch`. Does not look at signatures.
 */
export function assembleCertificate(votes: readonly Vote[], members: MemberSet): Certificate {
  const first = votes[0];
  if (first === undefined) throw new CertificateError("tooFew", `None of the ${members.quorum} that are needed.`);
  for (const { statement, member } of votes) {
    members.checkStatement(statement);
    members.publicKey(member);
    if (!sameStatement(statement, first.statement))
      throw new CertificateError("mixedValues", `"${member}" and "${first.member}" voted for different things.`, member);
  }
  const signatures = votes.map(({ member, signature }) => ({ member, signature })).sort((a, b) => compareText(a.member, b.member));
  checkOrder(signatures);
  checkQuorum(signatures.length, members);
  return { statement: first.statement, signatures };
}

/**
 * Resolves where `proof` shows that one member voted for two values at the same place: the member lies, whoever brings the
 * proof. Throws {@link CertificateError}: `notEquivocation`, and as {@link verifyVote}.
 */
export async function verifyEquivocation(proof: Equivocation, members: MemberSet, verify: VerifySignature): Promise<{ member: string }> {
  const { first, second } = proof;
  for (const { statement } of [first, second]) checkStatement(statement);
  if (first.member !== second.member) throw new CertificateError("notEquivocation", "The votes are of two members.");
  if (!samePlace(first.statement, second.statement)) throw new CertificateError("notEquivocation", "The votes are of two places.");
  const order = compareBytes(first.statement.value, second.statement.value);
  if (order === 0) throw new CertificateError("notEquivocation", "The votes are for the same value.");
  if (order > 0) throw new CertificateError("malformed", "The vote for the smaller value comes first.");
  await verifyVote(first, members, verify);
  await verifyVote(second, members, verify);
  return { member: first.member };
}

/** The proof that two votes of one member make; null where they do not contradict each other. Does not look at signatures. */
export function equivocationOf(a: Vote, b: Vote): Equivocation | null {
  if (a.member !== b.member || !samePlace(a.statement, b.statement)) return null;
  const order = compareBytes(a.statement.value, b.statement.value);
  if (order === 0) return null;
  return order < 0 ? { first: a, second: b } : { first: b, second: a };
}

async function checkSigned(
  statement: Statement,
  member: string,
  signature: Uint8Array,
  members: MemberSet,
  verify: VerifySignature,
): Promise<void> {
  if (!(await verify(members.publicKey(member), signedBytes(statement, member), signature)))
    throw new CertificateError("badSignature", `"${member}" did not sign this.`, member);
}

function checkQuorum(count: number, members: MemberSet): void {
  if (count < members.quorum) throw new CertificateError("tooFew", `${count} of the ${members.quorum} that are needed.`);
}
