import type * as awarenessProtocol from "y-protocols/awareness";
import * as Y from "yjs";
import { ROOM_OPTIONS } from "../../../core/crdt/options.ts";
import { MAX_PRESENCE_STATE_BYTES } from "../../../core/crdt/protocol.ts";
import { errorOf, SkerryError } from "../../../core/wire/errors.ts";
import type { CallOptions, Http } from "../http.ts";
import { Link } from "../link.ts";
import { until } from "../runtime.ts";
import { expiryOf } from "../token-expiry.ts";
import { Durability } from "./durability.ts";
import * as frames from "./frames.ts";
import { Presence } from "./presence.ts";
import type { Room, RoomOptions } from "./room.ts";
import { path } from "./rooms.ts";
import type { RoomState, RoomStatus } from "./status.ts";

/** A wake-up of the room's object, so seldom; who types hears from the room anyway. */
const SILENCE = 60_000;
/** Above this many bytes that the network has not taken, edits wait and are merged. */
const MAX_BUFFERED = 1024 * 1024;
const LOOK_AGAIN = 50;
/** Edits are merged into frames of about this size at most. */
const FRAME_BYTES = 256 * 1024;

/**
 * Our own provider: the y-websocket protocol with the room's extension frames. The document itself is the queue of
 * what was edited offline: after a reconnect the room says what it has, and gets the rest.
 */
export class RoomConnection implements Room {
  readonly name: string;
  readonly doc: Y.Doc;
  readonly awareness: awarenessProtocol.Awareness | null;
  readonly #http: Http;
  readonly #link: Link;
  readonly #presence: Presence | null;
  readonly #durability = new Durability();
  readonly #listeners = new Set<(status: RoomStatus) => void>();
  #state: RoomState = "connecting";
  #error: SkerryError | null = null;
  #retryAt: number | null = null;
  #readOnly = false;
  #epoch: string | null;
  /** Whether the room was given what it lacked: from then on edits are sent one by one. */
  #answered = false;
  #outgoing: { update: Uint8Array; edit: number }[] = [];
  #flushing = false;
  #status: RoomStatus | null = null;
  #told = true;
  #syncWaiting: { resolve: () => void; reject: (reason: unknown) => void }[] = [];

  constructor(http: Http, name: string, { doc = new Y.Doc(), awareness, epoch }: RoomOptions) {
    this.name = name;
    this.doc = doc;
    this.#http = http;
    this.#epoch = epoch ?? null;
    this.#presence = awareness === null ? null : new Presence(doc, awareness, (states) => this.#announce(states));
    this.awareness = this.#presence?.awareness ?? null;
    // What the document holds already may be news to the room.
    if (Y.encodeStateVector(doc).length > 1) this.#durability.edited();
    this.#link = new Link(
      http,
      { path: () => this.#path(), protocols: [], binary: true, silence: SILENCE, probe: () => this.#probe() },
      {
        open: () => {},
        message: (data) => this.#receive(data),
        ping: () => this.#link.send(frames.QUERY_AWARENESS),
        token: (token) => this.#link.send(frames.refreshFrame(token)),
        lost: (error, wait) => this.#lost(error, wait),
        failed: (error) => this.#end(error),
      },
    );
    doc.on("update", this.#onUpdate);
    doc.on("destroy", this.#onDestroy);
    this.#link.start();
  }

  get epoch(): string | null {
    return this.#epoch;
  }

  get status(): RoomStatus {
    this.#status ??= {
      state: this.#state,
      readOnly: this.#readOnly,
      unsent: this.#durability.unsent,
      undurable: this.#durability.undurable,
      error: this.#error,
      retryAt: this.#retryAt,
    };
    return this.#status;
  }

  on(_event: "status", listener: (status: RoomStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  whenSynced({ signal }: CallOptions = {}): Promise<void> {
    if (this.#state === "live") return Promise.resolve();
    if (this.#state === "closed") return Promise.reject(this.#gone());
    return until(new Promise((resolve, reject) => this.#syncWaiting.push({ resolve, reject })), signal);
  }

  whenDurable({ signal }: CallOptions = {}): Promise<void> {
    if (this.#durability.undurable > 0) {
      if (this.#state === "closed") return Promise.reject(this.#gone());
      if (this.#readOnly) return Promise.reject(this.#denied());
    }
    return until(this.#durability.wait(), signal);
  }

  reconnect(): void {
    this.#link.hurry();
  }

  close(): void {
    this.#presence?.goodbye();
    this.#end(null);
  }

  readonly #onDestroy = () => this.close();

  /** Whatever does not come from this room is news to it: edits made here, and what other providers bring. */
  readonly #onUpdate = (update: Uint8Array, origin: unknown) => {
    if (origin === this) return;
    const edit = this.#durability.edited();
    this.#touch();
    if (!this.#answered) return;
    this.#outgoing.push({ update, edit });
    if (this.#flushing) return;
    this.#flushing = true;
    // What is edited in one go leaves in one frame.
    queueMicrotask(() => this.#flush());
  };

  #flush(): void {
    this.#flushing = false;
    while (this.#outgoing.length > 0) {
      if (this.#link.buffered > MAX_BUFFERED) {
        this.#flushing = true;
        this.#http.runtime.timer(LOOK_AGAIN, () => this.#flush());
        return;
      }
      let [count, bytes] = [0, 0];
      for (const { update } of this.#outgoing) {
        if (count > 0 && bytes + update.length > FRAME_BYTES) break;
        count++;
        bytes += update.length;
      }
      const some = this.#outgoing.splice(0, count);
      const merged = some.length === 1 ? some[0]!.update : Y.mergeUpdates(some.map(({ update }) => update));
      if (!this.#sendDocument(frames.updateFrame(merged), some.at(-1)!.edit)) return;
    }
  }

  /** Sends a frame that brings the room up to `edit`; ends the connection for good where it cannot be sent. */
  #sendDocument(frame: Uint8Array, edit: number): boolean {
    const { maxFrameBytes } = ROOM_OPTIONS;
    if (frame.length > maxFrameBytes) {
      this.#link.fail(
        new SkerryError(
          "too_large",
          `An edit takes ${frame.length} bytes; the room takes ${maxFrameBytes} at a time. Edit in smaller transactions.`,
        ),
      );
      return false;
    }
    this.#durability.sent(edit);
    this.#link.send(frame);
    this.#touch();
    return true;
  }

  #announce(states: Uint8Array): void {
    const frame = frames.awarenessFrame(states);
    if (frame.length <= MAX_PRESENCE_STATE_BYTES) {
      this.#link.send(frame);
      return;
    }
    this.#error = new SkerryError("too_large", `A presence state has at most ${MAX_PRESENCE_STATE_BYTES} bytes; this one was not sent.`);
    this.#touch();
  }

  #receive(data: unknown): void {
    let frame: frames.ServerFrame;
    try {
      // A text, say, is not a frame either.
      frame = frames.decodeServerFrame(new Uint8Array(data as ArrayBuffer));
    } catch (cause) {
      this.#link.fail(new SkerryError("bad_frame", `What the room sent is not a frame: ${(cause as Error).message}.`, { cause }));
      return;
    }
    this.#handle(frame);
  }

  #handle(frame: frames.ServerFrame): void {
    switch (frame.type) {
      case "hello":
        this.#greeted(frame);
        return;
      case "sync-step-1":
        this.#outgoing = [];
        if (this.#sendDocument(frames.syncStep2(Y.encodeStateAsUpdate(this.doc, frame.vector)), this.#durability.edits))
          this.#answered = true;
        return;
      case "update":
        try {
          Y.applyUpdate(this.doc, frame.update, this);
        } finally {
          // Should an observer throw, the document is up to date all the same.
          if (frame.isAnswer) this.#synced();
        }
        return;
      case "awareness":
        this.#presence?.heard(frame.states);
        return;
      case "query-awareness":
        this.#presence?.announce();
        return;
      case "denied":
        this.#beReadOnly();
        return;
      case "persisted":
        this.#durability.persisted(frame.count);
        this.#touch();
        return;
      case "refreshed":
        this.#link.greeted(frame.expiresAt);
        return;
      case "refused":
        // A token that is not the successor of the connection's own: it ends at its time, and the next one takes it.
        return;
      case "ping":
        this.#link.send(frames.pongFrame(frame.nonce));
        return;
      case "unknown":
        return;
      default:
        frame satisfies never;
    }
  }

  #greeted({ epoch, mayWrite }: Extract<frames.ServerFrame, { type: "hello" }>): void {
    this.#epoch = epoch;
    this.#link.greeted(expiryOf(this.#link.token));
    if (mayWrite) this.#readOnly = false;
    else this.#beReadOnly();
    this.#link.send(frames.syncStep1(Y.encodeStateVector(this.doc)));
    this.#presence?.renew();
    this.#touch();
  }

  #synced(): void {
    this.#link.worked();
    this.#state = "live";
    this.#error = null;
    this.#retryAt = null;
    for (const { resolve } of this.#syncWaiting.splice(0)) resolve();
    this.#touch();
  }

  #beReadOnly(): void {
    this.#readOnly = true;
    if (this.#durability.undurable > 0) this.#durability.reject(this.#denied());
    this.#touch();
  }

  #lost(error: SkerryError, wait: number): void {
    this.#disconnected();
    this.#state = "waiting";
    this.#error = error;
    this.#retryAt = this.#http.runtime.now() + wait;
    this.#touch();
  }

  #disconnected(): void {
    this.#answered = false;
    this.#outgoing = [];
    this.#durability.lost();
    this.#presence?.alone();
  }

  #end(reason: unknown): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#error = reason === null ? null : errorOf(reason);
    this.#retryAt = null;
    this.#link.end();
    this.#disconnected();
    this.doc.off("update", this.#onUpdate);
    this.doc.off("destroy", this.#onDestroy);
    this.#presence?.end();
    const gone = this.#gone();
    this.#durability.reject(gone);
    for (const { reject } of this.#syncWaiting.splice(0)) reject(gone);
    this.#touch();
  }

  #gone(): SkerryError {
    return this.#error ?? new SkerryError("unavailable", `The room "${this.name}" was left.`);
  }

  #denied(): SkerryError {
    return new SkerryError("forbidden", `The token may only read "${this.name}": ${this.#durability.undurable} local edits stay here.`);
  }

  #path(): string {
    const epoch = this.#epoch === null ? "" : `&epoch=${encodeURIComponent(this.#epoch)}`;
    return `${path(this.name)}?ack=1${epoch}`;
  }

  /** A room that does not exist yet comes into being by connecting. */
  async #probe(): Promise<void> {
    try {
      await this.#http.json("GET", path(this.name), { attempts: 1 });
    } catch (error) {
      if (!(error instanceof SkerryError) || error.code !== "room_not_found") throw error;
    }
  }

  #touch(): void {
    this.#status = null;
    if (!this.#told) return;
    this.#told = false;
    queueMicrotask(() => {
      this.#told = true;
      const { status } = this;
      for (const listener of [...this.#listeners]) listener(status);
    });
  }
}
