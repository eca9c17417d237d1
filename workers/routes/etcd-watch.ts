import { GATEWAY_CODES, readError, streamErrorLine } from "../../core/consensus/etcd/errors.ts";
import { isUnreadable, message } from "../../core/consensus/etcd/fields.ts";
import { parseStream } from "../../core/consensus/etcd/json.ts";
import { readLeaseKeepAlive, writeLeaseKeepAlive } from "../../core/consensus/etcd/lease.ts";
import { readWatch, type WatchRequest, writeWatch } from "../../core/consensus/etcd/watch.ts";
import { WatchSession } from "../../core/consensus/etcd/watch-session.ts";
import { KvError } from "../../core/consensus/kv/types.ts";
import type { SkerryError } from "../../core/wire/errors.ts";
import type { WatchHeader, WatchListener, WatchStream } from "../groups/door.ts";
import { meterBackground } from "../middleware/meter.ts";
import type { EtcdGate } from "./etcd-gate.ts";
import { Lines } from "./etcd-lines.ts";
import { etcdError } from "./etcd-shape.ts";

/**
 * Answers `/v3/watch`: the body's requests, and then lines as long as the client listens. The watches end here, in the Worker; behind
 * is one socket to a replica, which may sleep meanwhile.
 */
export async function watch(gate: EtcdGate): Promise<Response> {
  gate.authorize("read");
  const requests = readRequests(await gate.c.req.text());
  // Filled once the stream is open; nothing is told before.
  let session = null as WatchSession | null;
  let stream = null as WatchStream | null;
  let last: WatchHeader = { revision: 0, member: 0, term: 0 };
  const facts = (header: WatchHeader) => {
    last = header;
    return { ...gate.facts(header), revision: header.revision };
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
    progress: (id, header) => session?.progress(id, facts(header)),
    canceled: (id, header, reason, compactRevision) => session?.canceled(id, facts(header), reason, compactRevision),
    closed: (error) => void lines.end(lastLine(error)),
  };
  stream = await gate.watch(listener);
  const write = (line: string) => {
    taken = lines.write(line);
  };
  session = new WatchSession(stream, write, facts(stream.header));
  for (const request of requests) session.request(request);
  return streamed(gate, lines);
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
