import type { LeaderKey } from "../kv/concurrency.ts";
import type { ByteString, KeyValue } from "../kv/types.ts";
import { toBase64 } from "./base64.ts";
import { bigint64, bytes, int64, type Message, nested } from "./fields.ts";
import { type Facts, header, writeKeyValue } from "./kv-responses.ts";

/** The services Lock and Election, as v3lock.proto and v3election.proto have them. */

/** `lease` 0n: the server grants one, of 60 seconds, which nobody keeps alive. */
export type LockRequest = { name: ByteString; lease: bigint };
export type UnlockRequest = { key: ByteString };
export type CampaignRequest = { name: ByteString; lease: bigint; value: ByteString };
export type ProclaimRequest = { leader: LeaderKey | null; value: ByteString };
export type ResignRequest = { leader: LeaderKey | null };

export function readLock(of: Message): LockRequest {
  const name = bytes(of, "name");
  return { name, lease: bigint64(of, "lease") };
}

export function readUnlock(of: Message): UnlockRequest {
  return { key: bytes(of, "key") };
}

export function readCampaign(of: Message): CampaignRequest {
  const { name, lease } = readLock(of);
  return { name, lease, value: bytes(of, "value") };
}

export function readProclaim(of: Message): ProclaimRequest {
  const leader = readLeaderKey(of);
  return { leader, value: bytes(of, "value") };
}

export function readResign(of: Message): ResignRequest {
  return { leader: readLeaderKey(of) };
}

/** Of leader and observe. */
export function readElectionName(of: Message): { name: ByteString } {
  return { name: bytes(of, "name") };
}

function readLeaderKey(of: Message): LeaderKey | null {
  const leader = nested(of, "leader");
  if (leader === undefined) return null;
  const name = bytes(leader, "name");
  const key = bytes(leader, "key");
  const rev = int64(leader, "rev");
  return { name, key, rev, lease: bigint64(leader, "lease") };
}

export function writeLock(facts: Facts, revision: number, key: ByteString): string {
  return `{"header":${header(facts, revision)},"key":"${toBase64(key)}"}`;
}

export function writeCampaign(facts: Facts, revision: number, leader: LeaderKey): string {
  let json = "";
  if (leader.name !== "") json += `,"name":"${toBase64(leader.name)}"`;
  if (leader.key !== "") json += `,"key":"${toBase64(leader.key)}"`;
  if (leader.rev !== 0) json += `,"rev":"${leader.rev}"`;
  if (leader.lease !== 0n) json += `,"lease":"${leader.lease}"`;
  return `{"header":${header(facts, revision)},"leader":{${json.slice(1)}}}`;
}

export function writeLeader(facts: Facts, revision: number, kv: KeyValue): string {
  return `{"header":${header(facts, revision)},"kv":${writeKeyValue(kv)}}`;
}

/** One line of an observation. */
export function writeObserved(facts: Facts, revision: number, kv: KeyValue): string {
  return `{"result":${writeLeader(facts, revision, kv)}}\n`;
}
