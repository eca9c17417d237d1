import type { KvStore } from "./store.ts";
import type { WatchCreate, WatchEvent } from "./types.ts";

/**
 * One message to a watcher. `revision` is the header's. `next`: where to resume after this message (as `startRevision`); a
 * message with `fragment` is not the last of its revision, so its `next` repeats it.
 */
export type WatchResponse = {
  id: number;
  revision: number;
  created: boolean;
  canceled: boolean;
  /** Not 0: what the watcher asked for is compacted; it may start again from here. */
  compactRevision: number;
  cancelReason: string;
  fragment: boolean;
  events: WatchEvent[];
  next: number;
};

/** The watchers of one store. Pure: the host delivers what the methods return, in order. */
export class WatchHub {
  constructor(
    _store: Pick<KvStore, "revision" | "compactRevision" | "eventsFrom">,
    _options?: { maxResponseBytes?: number; pageEvents?: number },
  ) {}

  get size(): number {
    throw new Error("to come");
  }

  /** `id`: the host's, unique. The answer is `created`, or `created` and `canceled` with a reason. */
  create(_id: number, _request: WatchCreate): WatchResponse {
    throw new Error("to come");
  }

  /** The `canceled` answer; null where there is no such watcher. */
  cancel(_id: number): WatchResponse | null {
    throw new Error("to come");
  }

  /** To be called with the events of each revision right after the store applied it: what watchers that are up to date and not paused get. */
  apply(_revision: number, _events: WatchEvent[]): WatchResponse[] {
    throw new Error("to come");
  }

  /** Watchers that are behind and not paused: call {@link read} for them. */
  behind(): number[] {
    throw new Error("to come");
  }

  /** The next page for a watcher that is behind; empty once it has caught up. May cancel it: compacted. */
  read(_id: number): WatchResponse[] {
    throw new Error("to come");
  }

  /** The consumer takes no more: nothing is kept for it, it falls behind. */
  pause(_id: number): void {
    throw new Error("to come");
  }

  resume(_id: number): void {
    throw new Error("to come");
  }

  /** Answers a progress request: null while the watcher is behind, for then it would overtake events; it is owed and comes with the catch-up. */
  progress(_id: number): WatchResponse | null {
    throw new Error("to come");
  }

  /** Periodic progress: to every watcher that asked for it, is up to date, and has had no event since the last tick. */
  tick(): WatchResponse[] {
    throw new Error("to come");
  }
}
