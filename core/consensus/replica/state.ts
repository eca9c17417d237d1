import { Reader } from "../../journal/bytes.ts";
import { crc32c } from "../../journal/crc32c.ts";
import { corrupt, newerFormat } from "../../journal/errors.ts";
import { NO_NODE, type NodeId } from "../raft/types.ts";
import { asciiOf, ByteWriter } from "./bytes.ts";
import { readBlock } from "./codec.ts";

/** 2: former lives. */
const VERSION = 2;
const WHAT = "A replica's state row";

/** What a replica remembers of another one: the highest incarnation it heard, and where it is ("": not known). */
export type PeerRecord = { incarnation: number; place: string };

/** What a replica keeps beside its log. One small row, written only when it changes. Treat it as read-only. */
export type ReplicaState = {
  term: number;
  vote: NodeId;
  /** It won the election of `term`: a woken replica goes on as the leader of its own term. */
  leads: boolean;
  /** The last leader heard of: where to send who asks, no more. */
  leader: NodeId;
  /** Raised by each wake before anything leaves. */
  incarnation: number;
  /** Incarnations before this one, the earliest first; not all of them. */
  lives: readonly number[];
  /** Others know a higher incarnation than this replica has: its storage was rolled back. It must not vote or acknowledge any more. */
  regressed: boolean;
  place: string;
  peers: ReadonlyMap<NodeId, PeerRecord>;
};

export const NO_STATE: ReplicaState = {
  ...{ term: 0, vote: NO_NODE, leads: false, leader: NO_NODE, incarnation: 0, lives: [], regressed: false, place: "" },
  peers: new Map(),
};

const LEADS = 1;
const REGRESSED = 2;

export function encodeState(state: ReplicaState): Uint8Array {
  const body = new ByteWriter();
  body.varint(VERSION);
  const flags = (state.leads ? LEADS : 0) | (state.regressed ? REGRESSED : 0);
  for (const value of [state.term, state.vote, flags, state.leader, state.incarnation]) body.varint(value);
  body.ascii(state.place);
  body.varint(state.peers.size);
  for (const [id, { incarnation, place }] of state.peers) {
    body.varint(id);
    body.varint(incarnation);
    body.ascii(place);
  }
  body.varint(state.lives.length);
  for (const life of state.lives) body.varint(life);
  const bytes = body.done();
  const sealed = new Uint8Array(4 + bytes.length);
  sealed.set(bytes, 4);
  new DataView(sealed.buffer).setUint32(0, crc32c(bytes), true);
  return sealed;
}

/** Throws `corrupt`, or `newer_format`. */
export function decodeState(bytes: Uint8Array): ReplicaState {
  const reader = new Reader(bytes, WHAT);
  if (reader.u32() !== crc32c(bytes.subarray(4))) throw corrupt(`${WHAT} failed its checksum.`);
  const version = reader.varint();
  if (version > VERSION) throw newerFormat(WHAT, version, VERSION);
  const [term, vote, flags, leader, incarnation] = [reader.varint(), reader.varint(), reader.varint(), reader.varint(), reader.varint()];
  const place = asciiOf(readBlock(reader));
  const peers = new Map<NodeId, PeerRecord>();
  for (let left = reader.varint(); left > 0; left--) {
    peers.set(reader.varint(), { incarnation: reader.varint(), place: asciiOf(readBlock(reader)) });
  }
  const lives: number[] = [];
  for (let left = version < 2 ? 0 : reader.varint(); left > 0; left--) lives.push(reader.varint());
  reader.end();
  const regressed = (flags & REGRESSED) !== 0;
  return { term, vote, leads: (flags & LEADS) !== 0, leader, incarnation, lives, regressed, place, peers };
}
