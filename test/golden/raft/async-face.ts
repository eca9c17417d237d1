/**
 * Another face of the core, as etcd-io/raft has one for hosts that write in the background: several Readys are out at once;
 * appending and applying are threads that take their work in order and answer with messages. Skerry's hosts write within a turn
 * and use `RaftNode.ready` and `advance`; this one lets the transcripts of the other kind run through the same core.
 */
import { appliedTo } from "../../../core/consensus/raft/membership.ts";
import type { RaftNode } from "../../../core/consensus/raft/node.ts";
import { entriesSize, payloadSize } from "../../../core/consensus/raft/sizes.ts";
import type { Entry, HardState, Message, Ready, Role, Snapshot } from "../../../core/consensus/raft/types.ts";
import { describeEntries, describeMessage, describeSnapshot } from "./notation.ts";

export type LocalMessage = {
  kind: "append" | "apply" | "appended" | "applied";
  from: number;
  to: number;
  term: number;
  logTerm: number;
  index: number;
  hardState: HardState | null;
  entries: Entry[];
  snapshot: Snapshot | null;
  responses: (Message | LocalMessage)[];
};

/** The ids of a node's two threads; no node has such a one. */
const APPEND_THREAD = -1;
const APPLY_THREAD = -2;
const NAMES = { append: "MsgStorageAppend", apply: "MsgStorageApply", appended: "MsgStorageAppendResp", applied: "MsgStorageApplyResp" };

export function isLocal(m: Message | LocalMessage): m is LocalMessage {
  return "kind" in m;
}

function target(id: number): string {
  if (id === APPEND_THREAD) return "AppendThread";
  return id === APPLY_THREAD ? "ApplyThread" : String(id);
}

export function describeLocal(m: LocalMessage, indent = ""): string {
  let text = `${indent}${target(m.from)}->${target(m.to)} ${NAMES[m.kind]} Term:${m.hardState?.term ?? m.term} Log:${m.logTerm}/${m.index}`;
  if (m.hardState !== null && m.hardState.commit !== 0) text += ` Commit:${m.hardState.commit}`;
  if (m.hardState !== null && m.hardState.vote !== 0) text += ` Vote:${m.hardState.vote}`;
  text += describeEntries(m.entries, indent);
  if (m.snapshot !== null) text += `\n${indent}  Snapshot: ${describeSnapshot(m.snapshot)}`;
  if (m.responses.length === 0) return text;
  const inner = m.responses.map((each) => (isLocal(each) ? describeLocal(each, `${indent}  `) : describeMessage(each, `${indent}  `)));
  return `${text} Responses:[\n${inner.join("\n")}\n${indent}]`;
}

export class AsyncFace {
  readonly #node: RaftNode;
  #soft: { leader: number; role: Role } = { leader: 0, role: "follower" };
  #hard: HardState;

  constructor(node: RaftNode) {
    this.#node = node;
    node.raft.log.applyUnstable = false;
    this.#hard = node.raft.hardState();
  }

  #hardState(): HardState | null {
    const now = this.#node.raft.hardState();
    const { term, vote, commit } = this.#hard;
    return now.term === term && now.vote === vote && now.commit === commit ? null : now;
  }

  #softState(): { leader: number; role: Role } | null {
    const { leader, role } = this.#node.raft;
    return leader === this.#soft.leader && role === this.#soft.role ? null : { leader, role };
  }

  hasReady(): boolean {
    const { messages, afterAppend, log } = this.#node.raft;
    const work = messages.length > 0 || afterAppend.length > 0 || log.unstable.hasNext() || log.hasNextCommitted();
    return work || log.unstable.nextSnapshot() !== null || this.#hardState() !== null || this.#softState() !== null;
  }

  ready(): { ready: Ready; local: LocalMessage[] } {
    const r = this.#node.raft;
    const hardState = this.#hardState();
    const softState = this.#softState();
    const entries = r.log.unstable.hasNext() ? r.log.unstable.next() : [];
    const snapshot = r.log.unstable.nextSnapshot();
    const ready: Ready = { softState, hardState, entries, snapshot, messages: r.messages, committed: r.log.nextCommitted(), reads: [] };
    const local: LocalMessage[] = [];
    if (entries.length > 0 || hardState !== null || snapshot !== null || r.afterAppend.length > 0) {
      const responses: (Message | LocalMessage)[] = [...r.afterAppend];
      const stable = r.log.unstable.entries.length > 0;
      if (stable || snapshot !== null) {
        // The end of the log, even if an earlier Ready carried it: the answer counts only in the term it was asked in.
        const end = stable ? { index: r.log.lastIndex(), logTerm: r.log.lastTerm() } : { index: 0, logTerm: 0 };
        responses.push(this.#local("appended", APPEND_THREAD, r.id, { term: r.term, ...end, snapshot }));
      }
      local.push(this.#local("append", r.id, APPEND_THREAD, { hardState, entries, snapshot, responses }));
    }
    if (ready.committed.length > 0) {
      const responses = [this.#local("applied", APPLY_THREAD, r.id, { entries: ready.committed })];
      local.push(this.#local("apply", r.id, APPLY_THREAD, { entries: ready.committed, responses }));
      r.log.acceptApplying(ready.committed.at(-1)!.index, entriesSize(ready.committed));
    }
    if (softState !== null) this.#soft = softState;
    if (hardState !== null) this.#hard = hardState;
    r.messages = [];
    r.afterAppend = [];
    r.log.unstable.acceptInProgress();
    return { ready, local };
  }

  #local(kind: LocalMessage["kind"], from: number, to: number, rest: Partial<LocalMessage>): LocalMessage {
    return { kind, from, to, term: 0, logTerm: 0, index: 0, hardState: null, entries: [], snapshot: null, responses: [], ...rest };
  }

  /** An answer of one of the threads. */
  respond(m: LocalMessage, log: (fact: string) => void): void {
    const r = this.#node.raft;
    if (m.kind === "applied") {
      appliedTo(r, m.entries.at(-1)!.index, entriesSize(m.entries));
      r.reduceUncommittedSize(payloadSize(m.entries));
      return;
    }
    if (m.index > 0) {
      if (m.term < r.term) log(`append stale ${r.id} ${r.term} ${m.term}`);
      else r.log.unstable.stableTo(m.index, m.logTerm);
    }
    if (m.snapshot === null) return;
    r.log.unstable.stableSnapshotTo(m.snapshot.index);
    appliedTo(r, m.snapshot.index, 0);
  }
}
