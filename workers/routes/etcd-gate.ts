import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { checkAnswer } from "../../core/consensus/etcd/answer-size.ts";
import { errorBody, GATEWAY_CODES, httpStatus, readError } from "../../core/consensus/etcd/errors.ts";
import { isUnreadable } from "../../core/consensus/etcd/fields.ts";
import { onlyReads } from "../../core/consensus/etcd/gateway.ts";
import { idOf } from "../../core/consensus/etcd/header.ts";
import type { Facts } from "../../core/consensus/etcd/kv-responses.ts";
import { KvStore } from "../../core/consensus/kv/store.ts";
import { KvError, type Session } from "../../core/consensus/kv/types.ts";
import type { Ask, ReadLevel, Status, Told } from "../../core/consensus/replica/types.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import { allows, type Right } from "../../core/wire/grant.ts";
import { checkName } from "../../core/wire/names.ts";
import type { GroupAnswer } from "../../durable-objects/group/ask.ts";
import { groupObject } from "../../durable-objects/group/names.ts";
import type { AppEnv } from "../env.ts";
import type { Caller, Create, GroupDoor, WatchListener, WatchStream } from "../groups/door.ts";
import { groupDoor } from "../groups/index.ts";
import { authorize } from "../middleware/auth.ts";
import { LEVEL_HEADER, note, seen } from "../middleware/context.ts";
import { whole } from "../middleware/dress.ts";
import { timed } from "../middleware/trace.ts";

/** The group that answers at `/v3`: made by the first write of someone who may write to it. */
export const DEFAULT_GROUP = "default";
export const SESSION_HEADER = "Skerry-Session";

/** One request of the gateway and the group it is for. */
export class EtcdGate {
  readonly c: Context<AppEnv>;
  readonly group: string;
  /** The group as `Skerry-Context` has it. */
  readonly object: string;
  readonly #door: GroupDoor;
  readonly #caller: Caller;

  /** Throws `bad_name`. */
  constructor(c: Context<AppEnv>) {
    this.c = c;
    this.group = checkName("group", c.req.param("group") ?? DEFAULT_GROUP);
    this.object = groupObject(c.get("scope"), this.group);
    this.#door = groupDoor(c.env);
    this.#caller = { scope: c.get("scope"), actor: c.get("actor"), traceparent: c.get("traceparent") };
  }

  /** Throws `token_missing` or `forbidden`. */
  authorize(right: Right): void {
    authorize(this.c, "groups", this.group, right);
  }

  /** Asks the group, having seen to the right to. Throws `KvError` for what the group refuses, and `SkerryError`. */
  async ask(ask: Ask): Promise<GroupAnswer> {
    this.authorize(onlyReads(ask) ? "read" : "write");
    const create: Create = ask.ask === "write" && !onlyReads(ask) && this.group === DEFAULT_GROUP ? "yes" : "no";
    try {
      const answer = await timed(this.c, "group", this.#door.ask(this.#caller, this.group, ask, create));
      note(this.c, answer);
      checkAnswer(answer.value);
      return answer;
    } catch (thrown) {
      // Asking about the default group writes nothing: until someone writes to it, it is as empty as one that was made.
      if (create === "yes" || !this.#isMissing(thrown)) throw thrown;
      return { value: askNothing(ask), position: null, level: "linearizable", member: 0, term: 0, placement: "measured" };
    }
  }

  /** Opens a stream of watches. One on the default group makes it, if the caller may: it has to stand somewhere. */
  async watch(listener: WatchListener): Promise<WatchStream> {
    this.authorize("read");
    const mayCreate = this.group === DEFAULT_GROUP && allows(this.c.get("actor").grants, "groups", this.group, "write");
    return timed(this.c, "watch", this.#door.watch(this.#caller, this.group, listener, mayCreate ? "yes" : "no"));
  }

  /** The members of the group; none where it is the default group and was not made yet. */
  async members(): Promise<{ id: number; name: string; learner: boolean }[]> {
    return (await this.#door.find(this.#caller, this.group))?.members ?? [];
  }

  facts(answer: { member: number; term: number }): Facts {
    return { cluster: ids(this.object), member: this.member(answer.member), term: answer.term };
  }

  /** A replica's number as an id of 64 bits. */
  member(id: number): bigint {
    return id === 0 ? 0n : ids(`${this.object}/${id}`);
  }

  json(body: string): Response {
    return whole(this.c, body);
  }

  #isMissing(thrown: unknown): boolean {
    return this.group === DEFAULT_GROUP && !(thrown instanceof KvError) && errorOf(thrown).code === "group_not_found";
  }

  /** The ask at the level that the request names or its context demands, in its session. Throws `bad_request` and `bad_context`. */
  leveled(ask: Ask): Ask {
    const asked = this.c.req.header(LEVEL_HEADER);
    if (ask.ask === "range") {
      const after = seen(this.c, this.object);
      return { ...ask, read: readLevel(asked, ask.request.serializable, after), after: after ?? 0 };
    }
    if (ask.ask !== "write") return ask;
    const session = sessionOf(this.c.req.header(SESSION_HEADER));
    if (asked !== undefined && asked !== "quorum")
      throw new SkerryError("bad_request", `${LEVEL_HEADER} of a write is quorum, or not given.`);
    return { ...ask, session, ...(asked === "quorum" && { demand: "quorum" as const }) };
  }
}

/** Runs a handler; what etcd refuses, it refuses in etcd's words. Everything else is the app's error handler's. */
export async function answering(c: Context<AppEnv>, handler: (gate: EtcdGate) => Promise<Response>): Promise<Response> {
  try {
    return await handler(new EtcdGate(c));
  } catch (thrown) {
    if (!(thrown instanceof KvError) && !isUnreadable(thrown)) throw thrown;
    return refusal(c, readError(thrown));
  }
}

export function refusal(c: Context<AppEnv>, error: KvError): Response {
  c.set("errorCode", `grpc_${error.grpc}`);
  return c.body(errorBody(error.grpc, error.message), httpStatus(error.grpc) as ContentfulStatusCode, {
    "content-type": "application/json",
  });
}

const NOBODY: Omit<Status, "header"> = {
  ...{ id: 0, leader: 0, role: "follower", term: 0, index: 0, applied: 0, committed: 0, bytes: 0, incarnation: 0 },
  conf: { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
};

/** What a group says that nobody has written to. Throws KvError. */
function askNothing(ask: Ask): Told {
  const store = new KvStore();
  const header = { revision: store.revision };
  switch (ask.ask) {
    case "range":
      store.checkRange(ask.request);
      return { told: "range", response: store.range(ask.request) };
    case "write": {
      store.check(ask.operation);
      const applied = store.apply({ operation: ask.operation, at: 0, session: null });
      if (applied.error !== undefined) throw applied.error;
      return { told: "write", result: applied.result };
    }
    case "leaseKeepAlive":
      return { told: "leaseKeepAlive", response: { header, id: ask.id, ttl: 0 } };
    case "leaseTimeToLive":
      return { told: "leaseTimeToLive", response: { header, id: ask.id, ttl: -1, grantedTtl: 0, keys: [] } };
    case "leases":
      return { told: "leases", response: { header, ids: [] } };
    case "status":
      return { told: "status", response: { ...NOBODY, header } };
    default:
      throw new KvError(GATEWAY_CODES.unavailable, "etcdserver: no leader");
  }
}

/** `serializable` asks for any replica's word, and a context for one that has what the caller has seen. */
function readLevel(asked: string | undefined, serializable: boolean, after: number | null): ReadLevel {
  if (asked === undefined) {
    if (!serializable) return { level: "linearizable" };
    return after === null ? { level: "stale" } : { level: "session" };
  }
  const bounded = /^bounded; ?ms=(\d{1,7})$/.exec(asked);
  if (bounded !== null) return { level: "bounded", ms: Number(bounded[1]) };
  if (asked === "linearizable" || asked === "session" || asked === "stale") return { level: asked };
  throw new SkerryError("bad_request", `${LEVEL_HEADER} of a read is linearizable, bounded; ms=500, session or stale.`);
}

/** Throws `bad_request`. */
function sessionOf(header: string | undefined): Session | null {
  if (header === undefined) return null;
  const parts = /^([\w.:@/+-]{1,128}); ?seq=(\d{1,15})(?:; ?ack=(\d{1,15}))?$/.exec(header);
  const [seq, ack] = [Number(parts?.[2]), Number(parts?.[3] ?? 0)];
  if (parts === null || seq < 1 || ack >= seq)
    throw new SkerryError(
      "bad_request",
      `${SESSION_HEADER} is a name of the client's and the number of its write, such as till-7; seq=12.`,
    );
  return { client: parts[1] as string, seq, ack };
}

const MAX_IDS = 4_096;
const known = new Map<string, bigint>();

/** {@link idOf}, remembered: 64-bit arithmetic is slow here. */
function ids(name: string): bigint {
  let id = known.get(name);
  if (id === undefined) {
    if (known.size >= MAX_IDS) known.delete(known.keys().next().value as string);
    id = idOf(name);
    known.set(name, id);
  }
  return id;
}
