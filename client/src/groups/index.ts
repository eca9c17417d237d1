import type { Client } from "../client.ts";
import { httpOf } from "../internals.ts";
import { Group } from "./group.ts";

export type { GroupConfig, GroupInfo, GroupMember, GroupStatus, Region, ReplicaState } from "./admin.ts";
export type { ElectionOptions, Leadership, Leading } from "./election.ts";
export type { Follow } from "./follow.ts";
export type { Group, Shown } from "./group.ts";
export type { Lease } from "./lease.ts";
export type { Lock, LockOptions } from "./lock.ts";
export type { GroupCallOptions, Level, RangeOptions, ReadOptions, WriteOptions } from "./options.ts";
export {
  type Committed,
  type Condition,
  type Deleted,
  del,
  get,
  json,
  type Op,
  type Put,
  type PutOptions,
  put,
  type Range,
  range,
  type Txn,
  when,
} from "./txn.ts";
export type { Bytes, Entry, Span } from "./values.ts";
export type { Change, GroupEvent, GroupWatch, WatchOptions } from "./watch.ts";

/**
 * A group to read, write, watch and lock; keep it and share it, for it has sockets and a session of its own. Nothing is sent
 * before it is used, and its sockets close when they are not.
 * @example
 * const group = openGroup(client, "desk");
 * await group.create({ replicas: 3 });
 * const { revision } = await group.put("duty", "ada");
 */
export function openGroup(client: Client, name: string): Group {
  return new Group(httpOf(client), name);
}
