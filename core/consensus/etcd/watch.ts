import type { WatchCreate, WatchEvent } from "../kv/types.ts";
import { bigint64, bool, bytes, enumOf, int64, list, type Message, nested } from "./fields.ts";
import type { Json } from "./json.ts";
import { type Facts, header, writeKeyValue } from "./kv-responses.ts";

/** What a client asks on the stream of the service Watch. `id` 0: the server chooses. */
export type WatchRequest =
  | { ask: "create"; id: bigint; create: WatchCreate }
  | { ask: "cancel"; id: bigint }
  | { ask: "progress" }
  /** A request that asks for nothing: ignored, as etcd does. */
  | { ask: "nothing" };

/**
 * One answer on the stream. `revision` 0 where etcd says none (a start that is compacted). Events of one answer are in the order of
 * their revisions.
 */
export type WatchAnswer = {
  revision: number;
  id: bigint;
  created?: boolean;
  canceled?: boolean;
  compactRevision?: number;
  cancelReason?: string;
  fragment?: boolean;
  events?: WatchEvent[];
};

const FILTER = "etcdserverpb.WatchCreateRequest_FilterType";
const FILTERS = ["noPut", "noDelete"] as const;

export function readWatch(of: Message): WatchRequest {
  const create = nested(of, "create_request", "createRequest");
  if (create !== undefined) return readCreate(create);
  const cancel = nested(of, "cancel_request", "cancelRequest");
  if (cancel !== undefined) return { ask: "cancel", id: bigint64(cancel, "watch_id", "watchId") };
  const progress = nested(of, "progress_request", "progressRequest");
  return progress === undefined ? { ask: "nothing" } : { ask: "progress" };
}

function readCreate(of: Message): WatchRequest {
  const create: WatchCreate = {
    key: bytes(of, "key"),
    rangeEnd: bytes(of, "range_end", "rangeEnd"),
    startRevision: int64(of, "start_revision", "startRevision"),
    progressNotify: bool(of, "progress_notify", "progressNotify"),
    filters: list(of, "filters", filter).filter((each) => each !== undefined),
    prevKv: bool(of, "prev_kv", "prevKv"),
    fragment: false,
  };
  const id = bigint64(of, "watch_id", "watchId");
  return { ask: "create", id, create: { ...create, fragment: bool(of, "fragment") } };
}

/** A kind of event that does not exist filters nothing. */
function filter(item: Json): (typeof FILTERS)[number] | undefined {
  return FILTERS[enumOf(item, FILTER, ["NOPUT", "NODELETE"])];
}

/** @example {"result":{"header":{…},"watch_id":"1","events":[…]}} */
export function writeWatch(facts: Facts, answer: WatchAnswer): string {
  const { revision, id, created, canceled, compactRevision, cancelReason, fragment, events } = answer;
  let json = `{"result":{"header":${header(facts, revision)}`;
  if (id !== 0n) json += `,"watch_id":"${id}"`;
  if (created === true) json += ',"created":true';
  if (canceled === true) json += ',"canceled":true';
  if (compactRevision !== undefined && compactRevision !== 0) json += `,"compact_revision":"${compactRevision}"`;
  if (cancelReason !== undefined && cancelReason !== "") json += `,"cancel_reason":${JSON.stringify(cancelReason)}`;
  if (fragment === true) json += ',"fragment":true';
  if (events !== undefined && events.length > 0) json += `,"events":[${events.map(writeEvent).join(",")}]`;
  return `${json}}}\n`;
}

function writeEvent({ type, kv, prevKv }: WatchEvent): string {
  let json = type === "delete" ? '{"type":"DELETE",' : "{";
  json += `"kv":${writeKeyValue(kv)}`;
  if (prevKv !== null) json += `,"prev_kv":${writeKeyValue(prevKv)}`;
  return `${json}}`;
}
