import { ByteReader, ByteWriter, checkId, compareBytes, compareText } from "./bytes.ts";
import {
  type Certificate,
  CertificateError,
  DIGEST_BYTES,
  type Equivocation,
  MAX_MEMBERS,
  SIGNATURE_BYTES,
  type Statement,
  VOTE_KINDS,
  type Vote,
} from "./types.ts";

/** Of all formats below. A later version gets another number and another domain. */
export const VERSION = 1;
const DOMAIN = "skerry/council-vote";
const FORMS = { vote: 1, certificate: 2, equivocation: 3 } as const;

/**
 * The bytes that a member signs: a domain that no other message of ours or of others begins with, the version, the
 * statement and the member. Every part has a fixed length or its length before it, so different votes give different bytes.
 */
export function signedBytes(statement: Statement, member: string): Uint8Array<ArrayBuffer> {
  checkStatement(statement);
  checkId("A member's id", member);
  const writer = new ByteWriter().text(DOMAIN).u8(VERSION);
  writeStatement(writer, statement);
  return writer.text(member).done();
}

export function encodeVote(vote: Vote): Uint8Array<ArrayBuffer> {
  checkStatement(vote.statement);
  const writer = new ByteWriter().u8(VERSION).u8(FORMS.vote);
  writeStatement(writer, vote.statement);
  return writeSignature(writer, vote).done();
}

export function encodeCertificate(certificate: Certificate): Uint8Array<ArrayBuffer> {
  checkStatement(certificate.statement);
  const writer = new ByteWriter().u8(VERSION).u8(FORMS.certificate);
  writeStatement(writer, certificate.statement);
  writer.u16(certificate.signatures.length);
  for (const each of certificate.signatures) writeSignature(writer, each);
  return writer.done();
}

export function encodeEquivocation({ first, second }: Equivocation): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter().u8(VERSION).u8(FORMS.equivocation);
  for (const vote of [first, second]) {
    checkStatement(vote.statement);
    writeStatement(writer, vote.statement);
    writeSignature(writer, vote);
  }
  return writer.done();
}

/** Throws `malformed` or `unsupportedVersion`; what it gives is well-formed, not yet verified. */
export function decodeVote(bytes: Uint8Array): Vote {
  const reader = open(bytes, FORMS.vote);
  const vote = readVote(reader);
  reader.end();
  return vote;
}

/** As {@link decodeVote}. */
export function decodeCertificate(bytes: Uint8Array): Certificate {
  const reader = open(bytes, FORMS.certificate);
  const statement = readStatement(reader);
  const count = reader.u16();
  if (count > MAX_MEMBERS) throw new CertificateError("malformed", `A certificate has at most ${MAX_MEMBERS} signatures.`);
  const signatures = Array.from({ length: count }, () => readSignature(reader));
  reader.end();
  return { statement, signatures };
}

/** As {@link decodeVote}. */
export function decodeEquivocation(bytes: Uint8Array): Equivocation {
  const reader = open(bytes, FORMS.equivocation);
  const [first, second] = [readVote(reader), readVote(reader)];
  reader.end();
  return { first, second };
}

export function checkStatement(statement: Statement): void {
  checkId("A council's name", statement.council);
  for (const name of ["epoch", "height", "round"] as const) {
    if (!Number.isSafeInteger(statement[name]) || statement[name] < 0)
      throw new CertificateError("malformed", `"${name}" is a whole number from 0 to 2^53 - 1.`);
  }
  if (!VOTE_KINDS.includes(statement.kind)) throw new CertificateError("malformed", `"kind" is one of ${VOTE_KINDS.join(", ")}.`);
  if (!(statement.value instanceof Uint8Array) || statement.value.length !== DIGEST_BYTES)
    throw new CertificateError("malformed", `"value" is a digest of ${DIGEST_BYTES} bytes.`);
}

/** Do two statements say the same? */
export function sameStatement(a: Statement, b: Statement): boolean {
  return samePlace(a, b) && compareBytes(a.value, b.value) === 0;
}

/** Are two statements about the same place: one where an honest member votes once? */
export function samePlace(a: Statement, b: Statement): boolean {
  return a.council === b.council && a.epoch === b.epoch && a.height === b.height && a.round === b.round && a.kind === b.kind;
}

/** Throws `malformed` unless members ascend; `duplicateMember` where one comes twice. */
export function checkOrder(signatures: Certificate["signatures"]): void {
  const seen = new Set<string>();
  for (const { member } of signatures) {
    if (seen.has(member)) throw new CertificateError("duplicateMember", `"${member}" signs twice.`, member);
    seen.add(member);
  }
  for (const [i, { member }] of signatures.entries()) {
    const before = signatures[i - 1]?.member;
    if (before !== undefined && compareText(before, member) > 0)
      throw new CertificateError("malformed", "Signatures ascend by the bytes of the member's id.");
  }
}

function open(bytes: Uint8Array, form: number): ByteReader {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== VERSION)
    throw new CertificateError("unsupportedVersion", `This code reads version ${VERSION}, these bytes are of version ${version}.`);
  if (reader.u8() !== form) throw new CertificateError("malformed", "The bytes are of something else.");
  return reader;
}

function writeStatement(writer: ByteWriter, { council, epoch, height, round, kind, value }: Statement): void {
  writer.text(council).u64(epoch).u64(height).u64(round).u8(VOTE_KINDS.indexOf(kind)).raw(value);
}

function readStatement(reader: ByteReader): Statement {
  const council = reader.text();
  const [epoch, height, round] = [reader.u64(), reader.u64(), reader.u64()];
  const kind = VOTE_KINDS[reader.u8()];
  if (kind === undefined) throw new CertificateError("malformed", "There is no such kind of vote.");
  const statement = { council, epoch, height, round, kind, value: reader.raw(DIGEST_BYTES) };
  checkStatement(statement);
  return statement;
}

function writeSignature(writer: ByteWriter, { member, signature }: { member: string; signature: Uint8Array }): ByteWriter {
  checkSignature(member, signature);
  return writer.text(member).raw(signature);
}

function readSignature(reader: ByteReader): { member: string; signature: Uint8Array } {
  const member = reader.text();
  const signature = reader.raw(SIGNATURE_BYTES);
  checkSignature(member, signature);
  return { member, signature };
}

export function checkSignature(member: string, signature: Uint8Array): void {
  checkId("A member's id", member);
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE_BYTES)
    throw new CertificateError("malformed", `A signature has ${SIGNATURE_BYTES} bytes.`, member);
}

function readVote(reader: ByteReader): Vote {
  const statement = readStatement(reader);
  return { statement, ...readSignature(reader) };
}
