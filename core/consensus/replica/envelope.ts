import { Reader } from "../../journal/bytes.ts";
import { corrupt, newerFormat } from "../../journal/errors.ts";
import type { Message, NodeId } from "../raft/types.ts";
import { asciiOf, ByteWriter } from "./bytes.ts";
import { decodeMessage, readBlock, writeMessage } from "./codec.ts";

/** This code's version, and the lowest one whose code understands what it sends. */
const VERSION = 1;
const READABLE_BY = 1;
const WHAT = "An envelope of a group";

/** A part of a state too large for one message: bytes `offset` on, of `total`, of the snapshot at `index` and `term`. */
export type Chunk = { index: number; term: number; total: number; offset: number; bytes: Uint8Array };
/** How far a receiver has the snapshot; `done`: it has installed it, or needs none of it any more. */
export type ChunkReceipt = { index: number; term: number; received: number; done: boolean };
/** A follower's question how far it must have applied to show all that was committed when it asked; `index` 0 in an answer: not the leader. */
export type Barrier = { id: number; index: number };

/** What replicas say to each other, in both directions of a call. */
export type Envelope = {
  from: NodeId;
  to: NodeId;
  incarnation: number;
  /** Whom the sender takes for the leader of `leaderTerm`; 0: nobody. */
  leader: NodeId;
  leaderTerm: number;
  /** How far the sender knows the log to be committed. */
  commit: number;
  /** The end of the sender's log when it woke: with a new incarnation, what a replica that lost something shows. */
  lastIndex: number;
  lastTerm: number;
  /** The sender has watchers, who want to hear of every commit at once. */
  watching: boolean;
  /** What acknowledges a read round in here must have written a row first. */
  fence: boolean;
  /** Not 0: the receiver's incarnation was refused, because this higher one is known. */
  superseded: number;
  /** Former incarnations of the sender, the earliest first, for a receiver that may not know the present one; empty: it does. */
  lives: readonly number[];
  /** The highest version of entries and states that the sender can apply. */
  format: number;
  /** The sender's failure domain; "": not known. */
  place: string;
  /** The incarnations that the sender knows, its own aside. */
  seen: [NodeId, number][];
  messages: Message[];
  asks: number[];
  answers: Barrier[];
  chunk: Chunk | null;
  receipt: ChunkReceipt | null;
};

const WATCHING = 1;
const FENCE = 2;
const DONE = 1;
/** Sections: a number, a length, bytes. A reader skips the ones it does not know. */
const SECTION = { head: 1, seen: 2, message: 3, asks: 4, answers: 5, chunk: 6, receipt: 7, lives: 8, format: 9 } as const;

/** @returns bytes that {@link decodeEnvelope} of this version, and of the ones that {@link READABLE_BY} names, reads. */
export function encodeEnvelope(envelope: Envelope): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  out.u8(VERSION);
  out.u8(READABLE_BY);
  const section = (number: number, write: () => void) => {
    out.varint(number);
    out.nested(write);
  };
  section(SECTION.head, () => writeHead(out, envelope));
  if (envelope.seen.length > 0) {
    section(SECTION.seen, () => {
      for (const [id, incarnation] of envelope.seen) {
        out.varint(id);
        out.varint(incarnation);
      }
    });
  }
  if (envelope.lives.length > 0) {
    section(SECTION.lives, () => {
      for (const life of envelope.lives) out.varint(life);
    });
  }
  if (envelope.format > 1) section(SECTION.format, () => out.varint(envelope.format));
  for (const message of envelope.messages) section(SECTION.message, () => writeMessage(out, message));
  if (envelope.asks.length > 0) {
    section(SECTION.asks, () => {
      for (const id of envelope.asks) out.varint(id);
    });
  }
  if (envelope.answers.length > 0) {
    section(SECTION.answers, () => {
      for (const { id, index } of envelope.answers) {
        out.varint(id);
        out.varint(index);
      }
    });
  }
  const { chunk, receipt } = envelope;
  if (chunk !== null) {
    section(SECTION.chunk, () => {
      for (const value of [chunk.index, chunk.term, chunk.total, chunk.offset]) out.varint(value);
      out.raw(chunk.bytes);
    });
  }
  if (receipt !== null) {
    section(SECTION.receipt, () => {
      for (const value of [receipt.index, receipt.term, receipt.received, receipt.done ? DONE : 0]) out.varint(value);
    });
  }
  return out.done();
}

function writeHead(out: ByteWriter, envelope: Envelope): void {
  out.varint(envelope.from);
  out.varint(envelope.to);
  out.varint(envelope.incarnation);
  out.varint(envelope.leader);
  out.varint(envelope.leaderTerm);
  out.varint(envelope.commit);
  out.varint(envelope.lastIndex);
  out.varint(envelope.lastTerm);
  out.varint((envelope.watching ? WATCHING : 0) | (envelope.fence ? FENCE : 0));
  out.varint(envelope.superseded);
  out.ascii(envelope.place);
}

/** Throws `newer_format` where it is of a version that this code cannot read, `corrupt` for what is no envelope. */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const reader = new Reader(bytes, WHAT);
  const version = reader.raw(1)[0]!;
  const readableBy = reader.raw(1)[0]!;
  if (readableBy > VERSION) throw newerFormat(WHAT, version, VERSION);
  let envelope: Envelope | null = null;
  const messages: Uint8Array[] = [];
  const sections = new Map<number, Uint8Array>();
  while (reader.at < bytes.length) {
    const number = reader.varint();
    const body = readBlock(reader);
    if (number === SECTION.head) envelope = readHead(new Reader(body, WHAT));
    else if (number === SECTION.message) messages.push(body);
    else sections.set(number, body);
  }
  if (envelope === null) throw corrupt(`${WHAT} has no head.`);
  for (const body of messages) {
    const message = decodeMessage(body, envelope.from, envelope.to);
    if (message !== null) envelope.messages.push(message);
  }
  const seen = numbersOf(sections.get(SECTION.seen));
  for (let i = 0; i + 1 < seen.length; i += 2) envelope.seen.push([seen[i]!, seen[i + 1]!]);
  envelope.lives = numbersOf(sections.get(SECTION.lives));
  envelope.format = numbersOf(sections.get(SECTION.format))[0] ?? 1;
  envelope.asks = numbersOf(sections.get(SECTION.asks));
  const answers = numbersOf(sections.get(SECTION.answers));
  for (let i = 0; i + 1 < answers.length; i += 2) envelope.answers.push({ id: answers[i]!, index: answers[i + 1]! });
  envelope.chunk = readChunk(sections.get(SECTION.chunk));
  envelope.receipt = readReceipt(sections.get(SECTION.receipt));
  return envelope;
}

function readHead(reader: Reader): Envelope {
  const next = () => reader.varint();
  const [from, to, incarnation, leader] = [next(), next(), next(), next()];
  const [leaderTerm, commit, lastIndex, lastTerm] = [next(), next(), next(), next()];
  const flags = next();
  const superseded = next();
  const place = asciiOf(readBlock(reader));
  return {
    ...{ from, to, incarnation, leader, leaderTerm, commit, lastIndex, lastTerm, superseded, place },
    watching: (flags & WATCHING) !== 0,
    fence: (flags & FENCE) !== 0,
    lives: [],
    format: 1,
    seen: [],
    messages: [],
    asks: [],
    answers: [],
    chunk: null,
    receipt: null,
  };
}

function numbersOf(body: Uint8Array | undefined): number[] {
  const numbers: number[] = [];
  if (body === undefined) return numbers;
  for (const reader = new Reader(body, WHAT); reader.at < body.length; ) numbers.push(reader.varint());
  return numbers;
}

function readChunk(body: Uint8Array | undefined): Chunk | null {
  if (body === undefined) return null;
  const reader = new Reader(body, WHAT);
  return { index: reader.varint(), term: reader.varint(), total: reader.varint(), offset: reader.varint(), bytes: reader.rest() };
}

function readReceipt(body: Uint8Array | undefined): ChunkReceipt | null {
  if (body === undefined) return null;
  const reader = new Reader(body, WHAT);
  return { index: reader.varint(), term: reader.varint(), received: reader.varint(), done: (reader.varint() & DONE) !== 0 };
}
