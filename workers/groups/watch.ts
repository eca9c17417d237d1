import type { WatchCreate, WatchEvent } from "../../core/consensus/kv/types.ts";
import type { Status } from "../../core/consensus/replica/types.ts";
import { readAnswer } from "../../core/consensus/socket/answers.ts";
import { writeTarget } from "../../core/consensus/socket/spec.ts";
import type { GroupMeta } from "../../core/wire/directory.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import type { CallResult, StreamPosition } from "../../core/wire/frames.ts";
import { formatPosition, parsePosition } from "../../core/wire/resume.ts";
import { MAX_SUBSCRIPTIONS } from "../../core/wire/session.ts";
import { refreshGroup } from "../../durable-objects/directory/lookup.ts";
import { firstOf, hintsOf, nextOf, silenceOf } from "../../durable-objects/group/hints.ts";
import { replicaName } from "../../durable-objects/group/names.ts";
import { configure, replicaStub } from "../../durable-objects/group/replicas.ts";
import { projectStub } from "../middleware/keyring.ts";
import type { Caller, WatchHeader, WatchListener, WatchStream } from "./door.ts";
import { isFinal, Line } from "./line.ts";

/** Frames that a watch may have under way. More are granted when half are read. */
const CREDIT = 16;
/** A watch that asked for progress is told so after this long without an event: etcd's interval. */
const PROGRESS_MS = 600_000;
/** A replica that takes this many times longer than a leader may to open a socket is given up. */
const PATIENCE = 3;
/** So long a stream may take to be opened. */
const OPEN_MS = 5_000;
const RECONNECT_MS = [0, 100, 300, 1_000, 3_000];

type Watch = {
  id: number;
  create: WatchCreate;
  target: string;
  /** Everything up to here was delivered; null before the replica has said where the watch begins. */
  at: StreamPosition | null;
  created: boolean;
  /** Frames granted and not received. */
  credit: number;
  /** Of a revision that comes in parts and is to be delivered whole. */
  parts: WatchEvent[];
  quietSince: number;
};

/** Opens a stream of watches on a replica of the group. Throws `unavailable` where none can be reached. */
export async function openWatch(env: Env, caller: Caller, meta: GroupMeta, listener: WatchListener): Promise<WatchStream> {
  const stream = new Stream(env, caller, meta, listener);
  await stream.open();
  return stream;
}

/** Watches over one socket; further ones, where a socket holds no more, over further streams of the same kind. */
class Stream implements WatchStream {
  readonly #env: Env;
  readonly #caller: Caller;
  #meta: GroupMeta;
  readonly #listener: WatchListener;
  readonly #watches = new Map<number, Watch>();
  readonly #asked = new Map<number, (status: Status, header: WatchHeader) => void | Promise<void>>();
  #line: Line | null = null;
  #member = 0;
  #header: WatchHeader = { revision: 0, member: 0, term: 0 };
  #opened: PromiseWithResolvers<void> | null = null;
  #open = false;
  #lastCall = 0;
  #closed = false;
  #tries = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** Takes the watches that this socket has no room for. */
  #next: Promise<Stream> | null = null;

  constructor(env: Env, caller: Caller, meta: GroupMeta, listener: WatchListener) {
    this.#env = env;
    this.#caller = caller;
    this.#meta = meta;
    this.#listener = listener;
  }

  get header(): WatchHeader {
    return this.#header;
  }

  async open(): Promise<void> {
    this.#opened = Promise.withResolvers<void>();
    await this.#connect();
    await Promise.race([this.#opened.promise, scheduler.wait(OPEN_MS).then(() => this.#open || this.#end(silent("The group")))]);
    this.#opened = null;
  }

  create(id: number, create: WatchCreate): void {
    if (this.#watches.size >= MAX_SUBSCRIPTIONS) {
      this.#next ??= this.#another();
      void this.#next.then(
        (stream) => stream.create(id, create),
        (thrown) => this.#end(errorOf(thrown)),
      );
      return;
    }
    // As in etcd, no key is the first key.
    const key = create.key === "" ? "\0" : create.key;
    const { rangeEnd, prevKv, filters, startRevision } = create;
    if (rangeEnd !== "" && rangeEnd !== "\0" && key >= rangeEnd) {
      this.#ask((_, header) => this.#listener.created(id, header, "mvcc: watcher range is empty"));
      return;
    }
    let target: string;
    try {
      target = writeTarget({ key, rangeEnd, prevKv, filters });
    } catch (thrown) {
      this.#ask((_, header) => this.#listener.created(id, header, errorOf(thrown).message));
      return;
    }
    const at = startRevision > 0 ? this.#position(startRevision - 1) : null;
    const watch: Watch = { id, create, target, at, created: false, credit: CREDIT, parts: [], quietSince: Date.now() };
    this.#watches.set(id, watch);
    this.#begin(watch);
    if (create.progressNotify) this.#watchQuiet();
  }

  cancel(id: number): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) {
      if (this.#next !== null) void this.#next.then((stream) => stream.cancel(id));
      return;
    }
    this.#line?.unsubscribe(id);
  }

  progress(): void {
    this.#tellProgress(async (header) => {
      const further = this.#next === null ? null : await this.#next;
      if (further === null) return this.#listener.progress(null, header);
      // All sockets must have said what they had: the last of them speaks for all.
      further.progress();
    });
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#line?.close();
    this.#watches.clear();
    if (this.#next !== null) void this.#next.then((stream) => stream.close());
  }

  async #another(): Promise<Stream> {
    const stream = new Stream(this.#env, this.#caller, this.#meta, this.#listener);
    await stream.open();
    return stream;
  }

  /** Subscribes, having asked on the same socket what is the present: answers come in the order of the questions. */
  #begin(watch: Watch): void {
    const line = this.#line;
    if (line === null || line.closed) return;
    watch.credit = CREDIT;
    watch.parts = [];
    if (!watch.created) {
      this.#ask((_, header) => {
        watch.created = true;
        // One that starts now starts after what the answer shows; the subscription, asked for next, cannot start earlier.
        return this.#listener.created(watch.id, header, "");
      });
    }
    line.subscribe(watch.id, watch.target, watch.at, CREDIT);
  }

  #ask(done: (status: Status, header: WatchHeader) => void | Promise<void>): void {
    const id = ++this.#lastCall;
    this.#asked.set(id, done);
    this.#line?.call(id, { status: {} });
  }

  #tellProgress(tell: (header: WatchHeader) => void | Promise<void>): void {
    this.#ask((_, header) => {
      // One that has run out of credit may be behind: it is asked again once it has read.
      const behind = [...this.#watches.values()].some(({ credit }) => credit === 0);
      if (!behind) return tell(header);
      setTimeout(() => this.#closed || this.#tellProgress(tell), 50);
    });
  }

  async #result(result: CallResult): Promise<void> {
    const done = this.#asked.get(result.id);
    this.#asked.delete(result.id);
    if (done === undefined || "error" in result) return;
    const { value, term } = readAnswer(result.value);
    if (value.told !== "status") return;
    this.#header = { revision: value.response.header.revision, member: value.response.id, term };
    await done(value.response, this.#header);
  }

  async #events(id: number, position: StreamPosition, events: WatchEvent[], more: boolean): Promise<void> {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    watch.credit--;
    const revision = parsePosition(position)?.at ?? 0;
    const header = { ...this.#header, revision: Math.max(this.#header.revision, revision) };
    this.#header = header;
    const whole = watch.parts.length === 0 ? events : [...watch.parts, ...events];
    if (more && !watch.create.fragment) watch.parts = whole;
    else {
      watch.parts = [];
      watch.at = position;
      // Who leaves out both kinds hears of nothing; a target cannot say that.
      if (whole.length > 0 && new Set(watch.create.filters).size < 2) {
        watch.quietSince = Date.now();
        await this.#listener.events(id, header, whole, more);
      }
    }
    if (watch.credit > CREDIT / 2 || !this.#watches.has(id)) return;
    this.#line?.credit(id, CREDIT - watch.credit);
    watch.credit = CREDIT;
  }

  async #ended(id: number, error: SkerryError | null): Promise<void> {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#watches.delete(id);
    if (error === null) return this.#listener.canceled(id, this.#header, "", 0);
    if (error.code === "too_large") {
      // Long keys: this socket has room for fewer.
      const first = this.#watches.size === 0;
      if (!first) {
        this.#next ??= this.#another();
        const stream = await this.#next;
        const startRevision = watch.at === null ? watch.create.startRevision : (parsePosition(watch.at)?.at ?? 0) + 1;
        stream.create(id, { ...watch.create, startRevision });
        return;
      }
    }
    const oldest = error.code === "revision_compacted" ? Number(/(\d+)$/.exec(error.message)?.[1] ?? 1) : 0;
    return this.#listener.canceled(id, this.#header, oldest > 0 ? "" : error.message, oldest);
  }

  async #connect(): Promise<void> {
    const known = hintsOf(this.#caller.scope, this.#meta);
    const first = this.#member === 0 ? firstOf(known, this.#meta, false) : nextOf(this.#meta, this.#member);
    let error: SkerryError | null = null;
    for (let member = first, tries = 0; tries < this.#meta.members.length; member = nextOf(this.#meta, member), tries++) {
      try {
        const found = this.#meta.members.find(({ id }) => id === member);
        if (found === undefined) continue;
        await this.#attach(member);
        const opening = Line.open(replicaStub(this.#env, this.#caller.scope, this.#meta, found), this.#caller, {
          subscribed: (id, position) => this.#subscribed(id, position),
          events: (id, position, events, more) => this.#events(id, position, events, more),
          ended: (id, ended) => this.#ended(id, ended),
          result: (result) => this.#result(result),
          lost: (lost, final) => this.#lost(line, lost, final),
        });
        const line = await Promise.race([opening, scheduler.wait(PATIENCE * silenceOf(known, member)).then(() => null)]);
        if (line === null) {
          known.silent = member;
          // If it comes after all, nobody is there.
          void opening.then((late) => late.close()).catch(() => {});
          throw silent(`Replica ${member}`);
        }
        if (known.silent === member) known.silent = 0;
        if (this.#closed) line.close();
        this.#line = line;
        this.#member = member;
        this.#tries = 0;
        this.#resume();
        return;
      } catch (thrown) {
        error = errorOf(thrown);
        if (isFinal(error)) break;
        if (error.code === "stale_metadata") await this.#introduce(member);
      }
    }
    throw error ?? new SkerryError("unavailable", "No replica could be reached.", { retryAfter: 1 });
  }

  /** Only an object that the project knows to hold the token's sockets hears that it is revoked. Throws `token_revoked`, `token_invalid`. */
  async #attach(member: number): Promise<void> {
    const { scope, actor } = this.#caller;
    if (actor.tokenId === null) return;
    const object = replicaName(scope, this.#meta.name, this.#meta.generation, member);
    await projectStub(this.#env, scope).attach({ tokenId: actor.tokenId, object, class: "GROUP" });
  }

  /** On a new socket: says where each watch was. */
  #resume(): void {
    this.#asked.clear();
    this.#ask(() => {
      this.#open = true;
      this.#opened?.resolve();
    });
    for (const watch of this.#watches.values()) this.#begin(watch);
  }

  #subscribed(id: number, position: StreamPosition): void {
    const watch = this.#watches.get(id);
    if (watch !== undefined) watch.at ??= position;
  }

  async #introduce(member: number): Promise<void> {
    const now = await refreshGroup(this.#env, this.#caller.scope, this.#meta.name);
    if (now === null || now.generation !== this.#meta.generation)
      throw new SkerryError("group_not_found", `The group "${this.#meta.name}" was deleted.`);
    this.#meta = now;
    if (now.members.some(({ id }) => id === member)) await configure(this.#env, this.#caller.scope, now, member);
  }

  async #lost(line: Line | null, error: SkerryError, final: boolean): Promise<void> {
    if (this.#closed || (this.#line !== null && this.#line !== line)) return;
    this.#line = null;
    if (final) return this.#end(error);
    while (!this.#closed) {
      const wait = RECONNECT_MS[this.#tries++];
      if (wait === undefined) return this.#end(error);
      await scheduler.wait(wait);
      try {
        const now = await refreshGroup(this.#env, this.#caller.scope, this.#meta.name);
        if (now === null || now.generation !== this.#meta.generation)
          return this.#end(new SkerryError("group_not_found", `The group "${this.#meta.name}" was deleted.`));
        this.#meta = now;
        return await this.#connect();
      } catch (thrown) {
        const refused = errorOf(thrown);
        if (isFinal(refused)) return this.#end(refused);
        // The next try waits longer.
      }
    }
  }

  #end(error: SkerryError): void {
    if (this.#closed) return;
    this.#opened?.reject(error);
    this.close();
    this.#listener.closed(error);
  }

  /** Tells watches that asked for it, now and then, that nothing has happened. */
  #watchQuiet(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const quiet = [...this.#watches.values()].filter(
        ({ create, quietSince }) => create.progressNotify && Date.now() - quietSince >= PROGRESS_MS,
      );
      if (quiet.length > 0)
        this.#tellProgress((header) => {
          for (const { id } of quiet) if (this.#watches.has(id)) this.#listener.progress(id, header);
        });
      if ([...this.#watches.values()].some(({ create }) => create.progressNotify)) this.#watchQuiet();
    }, PROGRESS_MS);
  }

  #position(revision: number): StreamPosition {
    return formatPosition({ generation: `g${this.#meta.generation}`, at: revision });
  }
}

function silent(who: string): SkerryError {
  return new SkerryError("unavailable", `${who} did not answer.`, { retryAfter: 1 });
}
