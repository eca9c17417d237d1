import type { LeaseGrantRequest, LeaseGrantResponse, LeaseRevokeRequest } from "../kv/types.ts";
import type { LeaseTimeToLive } from "../replica/types.ts";
import { toBase64 } from "./base64.ts";
import { bigint64, bool, int64, type Message } from "./fields.ts";
import { type Facts, header } from "./kv-responses.ts";

/** The service Lease. Its ids are written `ID`, its times `TTL`, in JSON too. */

export function readLeaseGrant(of: Message): LeaseGrantRequest {
  const ttl = int64(of, "TTL");
  return { ttl, id: bigint64(of, "ID") };
}

export function readLeaseRevoke(of: Message): LeaseRevokeRequest {
  return { id: bigint64(of, "ID") };
}

export function readLeaseKeepAlive(of: Message): { id: bigint } {
  return { id: bigint64(of, "ID") };
}

export function readLeaseTimeToLive(of: Message): { id: bigint; keys: boolean } {
  const id = bigint64(of, "ID");
  return { id, keys: bool(of, "keys") };
}

export function writeLeaseGrant(facts: Facts, response: LeaseGrantResponse): string {
  return `{"header":${header(facts, response.header.revision)}${idAndTtl(response)}}`;
}

/** One line of the stream that answers keep-alives. A lease that is gone has no TTL. */
export function writeLeaseKeepAlive(facts: Facts, response: LeaseGrantResponse): string {
  return `{"result":{"header":${header(facts, response.header.revision)}${idAndTtl(response)}}}\n`;
}

/** `keys` only where they were asked for. */
export function writeLeaseTimeToLive(facts: Facts, response: LeaseTimeToLive): string {
  let json = `{"header":${header(facts, response.header.revision)}${idAndTtl(response)}`;
  if (response.grantedTtl !== 0) json += `,"grantedTTL":"${response.grantedTtl}"`;
  if (response.keys.length > 0) json += `,"keys":[${response.keys.map((key) => `"${toBase64(key)}"`).join(",")}]`;
  return `${json}}`;
}

export function writeLeases(facts: Facts, response: { header: { revision: number }; ids: bigint[] }): string {
  const ids = response.ids.length === 0 ? "" : `,"leases":[${response.ids.map((id) => `{"ID":"${id}"}`).join(",")}]`;
  return `{"header":${header(facts, response.header.revision)}${ids}}`;
}

function idAndTtl({ id, ttl }: { id: bigint; ttl: number }): string {
  return `${id === 0n ? "" : `,"ID":"${id}"`}${ttl === 0 ? "" : `,"TTL":"${ttl}"`}`;
}
