import { GATEWAY_CODES, readError, streamErrorLine } from "../../core/consensus/etcd/errors.ts";
import { isUnreadable, message } from "../../core/consensus/etcd/fields.ts";
import { UNARY } from "../../core/consensus/etcd/gateway.ts";
import { parseStream } from "../../core/consensus/etcd/json.ts";
import { readLeaseKeepAlive, writeLeaseKeepAlive } from "../../core/consensus/etcd/lease.ts";
import { readWatch, type WatchRequest, writeWatch } from "../../core/consensus/etcd/watch.ts";
import { WatchSession } from "../../core/consensus/etcd/watch-session.ts";
import { KvError } from "../../core/consensus/kv/types.ts";
import { errorOf, type SkerryError } from "../../core/wire/errors.ts";
import type { WatchHeader, WatchListener, WatchStream } from "../groups/door.ts";
import { meterBackground } from "../middleware/meter.ts";
import type { EtcdGate } from "./etcd-gate.ts";
import { Lines } from "./etcd-lines.ts";
import { etcdError } from "./etcd-shape.ts";

/** Between two looks at a replica that is to catch up. */
const CATCH_UP_MS = 20;

/**
 * Answers `/v3/watch`: the body's requests, and then lines as long as the client listens. The watches end here, in the Worker; behind
 * is one socket to a replica, which may sleep meanwhile.
 */
export async function watch(gate: EtcdGate): Promise<Response> {
  gate.authorize("read");
  const requests = readRequests(await gate.c.req.text());
  const now = await present(gate);
  // Filled once the stream is open; nothing is told before.
  let session = null as WatchSession | null;
  let stream = null as WatchStream | null;
  let last: WatchHeader = { revision: 0, member: 0, term: 0 };
  const facts = (header: WatchHeader) => {
    last = header;
    return { ...gate.facts(header), revision: Math.max(header.revision, now) };
  };
  // As etcd's answer to a progress request: true, since nothing newer has been heard, and no news to anybody.
  const silence = () => writeWatch(gate.facts(last), { revision: last.revision, id: -1n });
  const lines = new Lines(silence, () => stream?.close());
  // How far the client has read what was written for him.
  let taken: Promise<void> = Promise.resolve();
  const listener: WatchListener = {
    created: (id, header, refusal) => session?.created(id, facts(header), refusal),
    events: (id, header, events, more) => {
      session?.events(id, facts(header), events, more);
      return taken;
    },
    progress: (id, header) => {
      // The replica has not come to where the present was when the stream was opened, so there may be events before it.
      if (id === null && header.revision < now) setTimeout(() => stream?.progress(), CATCH_UP_MS);
      else session?.progress(id, facts(header));
    },
    canceled: (id, header, reason, compactRevision) => session?.canceled(id, facts(header), reason, compactRevision),
    closed: (error) => void lines.end(lastLine(error)),
  };
  stream = await gate.watch(listener);
  const write = (line: string) => {
    taken = lines.write(line);
  };
  session = new WatchSession(stream, write, facts(stream.header));
  for (const request of requests) session.request(fromNow(request, now));
  return streamed(gate, lines);
}

/**
 * The revision of the group at this moment, 0 where nobody can tell. The watches are told by whatever replica is near, which may
 * trail: one from now on must not tell what had happened before it was asked for.
 */
async function present(gate: EtcdGate): Promise<number> {
  const ask = UNARY["kv/range"].ask({ key: "AA==", count_only: true });
  try {
    const { value } = await gate.ask(ask);
    return value.told === "range" ? value.response.header.revision : 0;
  } catch (thrown) {
    // Without a majority a watch can tell what it has, as one of etcd's can.
    if (thrown instanceof KvError || errorOf(thrown).code !== "no_quorum") throw thrown;
    return 0;
  }
}

function fromNow(request: WatchRequest, now: number): WatchRequest {
  if (request.ask !== "create" || request.create.startRevision !== 0 || now === 0) return request;
  return { ...request, create: { ...request.create, startRevision: now + 1 } };
}

/** The requests of a body, up to one that does not read. Throws KvError where that is the first. */
function readRequests(body: string): WatchRequest[] {
  const requests: WatchRequest[] = [];
  try {
    for (const value of parseStream(body)) requests.push(readWatch(message(value)));
  } catch (thrown) {
    const error = readError(thrown, GATEWAY_CODES.unknown);
    // The stream has begun: what is wrong further on is not told, and nothing after it is done.
    if (requests.length === 0) throw error;
  }
  return requests;
}

/** Answers `/v3/lease/keepalive`: each lease of the body once, a line each. */
export async function keepAlive(gate: EtcdGate): Promise<Response> {
  gate.authorize("write");
  let text = "";
  try {
    for (const value of parseStream(await gate.c.req.text())) {
      const { id } = readLeaseKeepAlive(message(value));
      const answer = await gate.ask({ ask: "leaseKeepAlive", id });
      if (answer.value.told === "leaseKeepAlive") text += writeLeaseKeepAlive(gate.facts(answer), answer.value.response);
    }
  } catch (thrown) {
    if (text === "" || !(isUnreadable(thrown) || thrown instanceof KvError)) {
      if (isUnreadable(thrown)) throw readError(thrown, GATEWAY_CODES.unknown);
      throw thrown;
    }
  }
  return gate.json(text);
}

/** The answer whose lines these are; what was written is accounted for when it is over. */
export function streamed(gate: EtcdGate, lines: Lines): Response {
  const { c } = gate;
  c.set("streaming", true);
  lines.onOver = (bytesOut) => meterBackground(c.env, c.executionCtx, c.get("scope"), "groups", { bytesOut });
  return c.body(lines.readable, 200, { "content-type": "application/json" });
}

/** The last line of a stream that ends for a reason of ours. */
export function lastLine(error: SkerryError): string {
  const { grpc, message: said } = etcdError(error);
  return streamErrorLine(grpc, said);
}
