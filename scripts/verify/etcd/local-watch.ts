import { errorBody, GATEWAY_CODES, httpStatus, readError } from "../../../core/consensus/etcd/errors.ts";
import { message } from "../../../core/consensus/etcd/fields.ts";
import { parseStream } from "../../../core/consensus/etcd/json.ts";
import type { Facts } from "../../../core/consensus/etcd/kv-responses.ts";
import { readWatch } from "../../../core/consensus/etcd/watch.ts";
import { WatchSession } from "../../../core/consensus/etcd/watch-session.ts";
import type { KvStore } from "../../../core/consensus/kv/store.ts";
import type { WatchEvent } from "../../../core/consensus/kv/types.ts";
import { WatchHub, type WatchResponse } from "../../../core/consensus/kv/watch.ts";
import type { Stream } from "./target.ts";

/** A stream of watches over a store in this process: our session over our hub. */
export class LocalWatch implements Stream {
  readonly #store: KvStore;
  readonly #facts: Facts;
  readonly #hub: WatchHub;
  readonly #session: WatchSession;
  readonly #over: () => void;
  #text = "";
  #status = 200;

  constructor(store: KvStore, facts: Facts, body: string, over: () => void) {
    this.#store = store;
    this.#facts = facts;
    this.#hub = new WatchHub(store);
    this.#over = over;
    const watcher = {
      create: (id: number, watch: Parameters<WatchHub["create"]>[1]) => this.#hear(this.#hub.create(id, watch)),
      cancel: (id: number) => {
        const answer = this.#hub.cancel(id);
        if (answer !== null) this.#hear(answer);
      },
      progress: () => this.#session.progress(null, this.#now()),
    };
    this.#session = new WatchSession(
      watcher,
      (line) => {
        this.#text += line;
      },
      this.#now(),
    );
    try {
      for (const value of parseStream(body)) this.#session.request(readWatch(message(value)));
    } catch (thrown) {
      const error = readError(thrown, GATEWAY_CODES.unknown);
      if (this.#text === "") {
        this.#status = httpStatus(error.grpc);
        this.#text = errorBody(error.grpc, error.message);
      }
    }
    this.#catchUp();
  }

  status(): number {
    return this.#status;
  }

  text(): string {
    return this.#text;
  }

  ended(): boolean {
    return this.#status !== 200;
  }

  close(): void {
    this.#over();
  }

  /** The store has applied a command. */
  applied(revision: number, events: WatchEvent[]): void {
    if (events.length > 0) for (const answer of this.#hub.apply(revision, events)) this.#hear(answer);
    this.#catchUp();
  }

  #catchUp(): void {
    for (let behind = this.#hub.behind(); behind.length > 0; behind = this.#hub.behind())
      for (const id of behind) for (const answer of this.#hub.read(id)) this.#hear(answer);
  }

  #hear(answer: WatchResponse): void {
    const facts = { ...this.#facts, revision: answer.revision };
    if (answer.created) this.#session.created(answer.id, facts, answer.cancelReason);
    if (answer.events.length > 0) this.#session.events(answer.id, facts, answer.events, answer.fragment);
    if (answer.canceled && !answer.created) this.#session.canceled(answer.id, facts, answer.cancelReason, answer.compactRevision);
  }

  #now() {
    return { ...this.#facts, revision: this.#store.revision };
  }
}
