import type { Header, WatchCreate, WatchEvent } from "../../core/consensus/kv/types.ts";
import type { Ask } from "../../core/consensus/replica/types.ts";
import type { SkerryError } from "../../core/wire/errors.ts";
import type { Actor } from "../../core/wire/grant.ts";
import type { Scope } from "../../core/wire/names.ts";
import type { GroupAnswer } from "../../durable-objects/group/ask.ts";

/** What a call tells of its caller: who acts (a socket ends with its token), and the trace it belongs to. */
export type Caller = { scope: Scope; actor: Actor; traceparent: string };

/**
 * What to do where the directory knows no such group. `no`: throw `group_not_found`; nothing is written. `yes`: make it
 * with the deployment's defaults first. A route says `yes` only for the default group, and only to a caller who may write.
 */
export type Create = "yes" | "no";

/** What a watch's answers carry beside the events; see {@link GroupAnswer}. */
export type WatchHeader = Header & { member: number; term: number };

/**
 * What a stream of watches tells, in the order in which it holds. Ids are the caller's. Events of one revision come in one
 * call, or, where the watch asked for `fragment`, in several, all but the last with `more`. The implementation keeps etcd's
 * guarantees (ordered, unique, reliable, atomic, resumable, bookmarkable) over its own reconnections: what a replica that
 * took over sends twice it leaves out, and where it cannot go on because history was compacted it cancels the watch.
 */
export type WatchListener = {
  /**
   * The watch is registered; events after `header.revision` (or from `startRevision` on) follow. Unless `refusal` is not "":
   * then it is etcd's reason why there is no such watch (its range is empty), and nothing follows.
   */
  created(id: number, header: WatchHeader, refusal: string): void;
  /** The next call comes only once this resolves: that is the back-pressure. */
  events(id: number, header: WatchHeader, events: WatchEvent[], more: boolean): void | Promise<void>;
  /** Nothing at or below `header.revision` is to come any more: for one watch (it has been silent), or for all (`null`, asked for). */
  progress(id: number | null, header: WatchHeader): void;
  /** The watch is over. `compactRevision` is not 0 where its start is compacted. `reason` is etcd's text, "" where the caller asked. */
  canceled(id: number, header: WatchHeader, reason: string, compactRevision: number): void;
  /** The stream is over and no watch goes on: the token ended, the group was deleted, no replica can be reached. */
  closed(error: SkerryError): void;
};

/** One stream of watches, over one socket to a replica. */
export type WatchStream = {
  /** As of when it was opened. */
  readonly header: WatchHeader;
  /** @param id positive, of the caller's choice, not in use on this stream. */
  create(id: number, watch: WatchCreate): void;
  cancel(id: number): void;
  /** Asks for `progress(null, …)` once every watch of the stream has told what lies at or below the present revision. */
  progress(): void;
  close(): void;
};

/** A group as the directory knows it. */
export type GroupSummary = { name: string; generation: number; members: { id: number; name: string; learner: boolean }[] };

/**
 * How routes reach groups: it finds the group, its leader and a way there, follows `notLeader`, and retries what surely did
 * not happen. A write whose outcome is unknown it retries only with the caller's session.
 *
 * Throws a `KvError` for what a replica refused (`Reply.refused`), and the `SkerryError`s `group_not_found`, `unavailable`
 * (no quorum in time, retryable) and `bad_name`.
 */
export interface GroupDoor {
  /** The group's entry in the directory; null where there is none. Writes nothing. */
  find(caller: Caller, group: string): Promise<GroupSummary | null>;
  ask(caller: Caller, group: string, ask: Ask, create?: Create): Promise<GroupAnswer>;
  watch(caller: Caller, group: string, listener: WatchListener, create?: Create): Promise<WatchStream>;
}
