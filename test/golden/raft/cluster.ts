/** Nodes, what is under way between them, and what a transcript sees of them. */
import { decodeConfChange } from "../../../core/consensus/raft/conf-codec.ts";
import { NO_LIMIT, type RaftConfig } from "../../../core/consensus/raft/config.ts";
import { MemoryStorage } from "../../../core/consensus/raft/memory.ts";
import { RaftNode } from "../../../core/consensus/raft/node.ts";
import { type ConfState, type Entry, type Message, RaftError, type Ready, type Snapshot } from "../../../core/consensus/raft/types.ts";
import { type AsyncFace, describeLocal, isLocal, type LocalMessage } from "./async-face.ts";
import { describeEvent, describeMessage, describeReady, LEVELS } from "./notation.ts";

export const NO_DATA = new Uint8Array(0);

/** The most recent state is the snapshot that is sent, whatever the log was compacted to. */
class HistoryStorage extends MemoryStorage {
  history: Snapshot[] = [];
  override snapshot(): Snapshot {
    return this.history.at(-1)!;
  }
}

export type Settings = Partial<RaftConfig> & { asyncStorage?: boolean };

export class Member {
  readonly node: RaftNode;
  readonly storage = new HistoryStorage();
  readonly async: AsyncFace | null;
  appendWork: LocalMessage[] = [];
  applyWork: LocalMessage[] = [];
  #synced = { term: 0, vote: 0 };

  constructor(
    cluster: Cluster,
    id: number,
    snapshot: Snapshot,
    { asyncStorage = false, ...settings }: Settings,
    face: (node: RaftNode) => AsyncFace,
  ) {
    if (snapshot.index > 0) this.storage.applySnapshot(snapshot);
    this.storage.history.push(snapshot);
    this.node = new RaftNode({
      id,
      storage: this.storage,
      applied: snapshot.index,
      electionTicks: 3,
      heartbeatTicks: 1,
      maxSizePerMessage: NO_LIMIT,
      maxCommittedSizePerReady: NO_LIMIT,
      maxUncommittedSize: NO_LIMIT,
      maxInflightMessages: NO_LIMIT,
      maxInflightBytes: NO_LIMIT,
      checkQuorum: false,
      preVote: false,
      random: (below) => below - 1,
      readsNeedFence: false,
      disableProposalForwarding: false,
      disableConfChangeValidation: false,
      stepDownOnRemoval: false,
      logger: (event) => {
        const { level, facts } = describeEvent(id, event);
        for (const fact of facts) cluster.log(level, fact);
      },
      ...settings,
    });
    this.async = asyncStorage ? face(this.node) : null;
  }

  /** Entries, term or vote have to be durable; a commit index need not. */
  mustSync(ready: Pick<Ready, "hardState" | "entries">): boolean {
    const { term, vote } = ready.hardState ?? this.#synced;
    const changed = term !== this.#synced.term || vote !== this.#synced.vote;
    this.#synced = { term, vote };
    return changed || ready.entries.length > 0;
  }

  persist({ hardState, entries, snapshot }: Pick<Ready, "hardState" | "entries" | "snapshot">): void {
    if (hardState !== null) this.storage.hardState = hardState;
    if (snapshot !== null) this.storage.applySnapshot(snapshot);
    else this.storage.append(entries);
  }

  /** The state machine appends what it is given to its state, and keeps every state. */
  apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const last = this.storage.history.at(-1)!;
      let conf: ConfState = last.conf;
      let update = entry.data;
      if (entry.kind === "conf") {
        const cc = decodeConfChange(entry.data);
        conf = this.node.applyConfChange(cc);
        update = cc.context;
      }
      const data = new Uint8Array(last.data.length + update.length);
      data.set(last.data);
      data.set(update, last.data.length);
      this.storage.history.push({ index: entry.index, term: entry.term, conf, data });
    }
  }
}

export class Cluster {
  readonly members: Member[] = [];
  messages: (Message | LocalMessage)[] = [];
  level = 0;
  #lines: string[] = [];
  #indent = "";
  readonly #face: (node: RaftNode) => AsyncFace;

  constructor(face: (node: RaftNode) => AsyncFace) {
    this.#face = face;
  }

  get quiet(): boolean {
    return this.level === LEVELS.indexOf("NONE");
  }

  write(text: string): void {
    if (this.quiet) return;
    for (const line of text.split("\n")) if (line !== "") this.#lines.push(this.#indent + line);
  }

  log(level: number, fact: string): void {
    if (this.level <= level) this.write(`! ${fact}`);
  }

  takeOutput(): string {
    const text = this.#lines.join("\n");
    this.#lines = [];
    return text;
  }

  indented(title: string, run: () => void): void {
    this.write(title);
    const before = this.#indent;
    this.#indent += "  ";
    run();
    this.#indent = before;
  }

  member(id: number): Member {
    const member = this.members[id - 1];
    if (member === undefined) throw new Error(`no node ${id}`);
    return member;
  }

  add(snapshot: Snapshot, settings: Settings): void {
    const id = this.members.length + 1;
    const member = new Member(this, id, snapshot, settings, this.#face);
    this.members.push(member);
    const { term, commit, applied, lastIndex } = member.node.status();
    this.log(1, `new ${id} ${term} ${commit} ${applied} ${lastIndex} ${member.node.raft.log.lastTerm()}`);
  }

  processReady(id: number): void {
    const member = this.member(id);
    if (member.async !== null) {
      const { ready, local } = member.async.ready();
      const described = [...ready.messages.map((m) => describeMessage(m)), ...local.map((m) => describeLocal(m))];
      this.write(describeReady(ready, described, member.mustSync(ready)));
      this.messages.push(...ready.messages);
      for (const m of local) (m.kind === "append" ? member.appendWork : member.applyWork).push(m);
      return;
    }
    const ready = member.node.ready();
    const described = ready.messages.map((m) => describeMessage(m));
    this.write(describeReady(ready, described, member.mustSync(ready)));
    member.persist(ready);
    member.apply(ready.committed);
    this.messages.push(...ready.messages);
    member.node.advance();
  }

  hasReady(member: Member): boolean {
    return member.async === null ? member.node.hasReady() : member.async.hasReady();
  }

  processThread(id: number, thread: "append" | "apply"): void {
    const member = this.member(id);
    const work = thread === "append" ? member.appendWork : member.applyWork;
    const m = work.shift();
    if (m === undefined) {
      this.write(`no ${thread} work to perform`);
      return;
    }
    this.write("Processing:");
    this.write(describeLocal({ ...m, responses: [] }));
    if (thread === "append") member.persist(m);
    else member.apply(m.entries);
    this.write("Responses:");
    for (const response of m.responses) this.write(isLocal(response) ? describeLocal(response) : describeMessage(response));
    this.messages.push(...m.responses);
  }

  /** Takes out what is under way to a node. Messages to a node's own threads and from it to itself cannot be lost. */
  take(to: number, type: string | null, drop: boolean): (Message | LocalMessage)[] {
    const taken: (Message | LocalMessage)[] = [];
    const left: (Message | LocalMessage)[] = [];
    for (const m of this.messages) {
      const internal = isLocal(m) || m.from === m.to;
      const wanted = m.to === to && !(drop && internal) && (type === null || (!isLocal(m) && m.type === type));
      (wanted ? taken : left).push(m);
    }
    this.messages = left;
    return taken;
  }

  deliver(to: number, type: string | null, drop: boolean): number {
    const messages = this.take(to, type, drop);
    for (const m of messages) {
      this.write((drop ? "dropped: " : "") + (isLocal(m) ? describeLocal(m) : describeMessage(m)));
      if (drop) continue;
      const member = this.member(to);
      this.#attempt(() => {
        if (!isLocal(m)) return member.node.step(m);
        member.async!.respond(m, (fact) => this.log(1, fact));
      });
    }
    return messages.length;
  }

  #attempt(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      this.write(`! error ${error.code}`);
    }
  }

  stabilize(ids: readonly number[]): void {
    const members = ids.length > 0 ? ids : this.members.map((_, i) => i + 1);
    for (let done = false; !done; ) {
      done = true;
      for (const id of members) {
        if (!this.hasReady(this.member(id))) continue;
        done = false;
        this.indented(`> ${id} handling Ready`, () => this.processReady(id));
      }
      for (const id of members) {
        if (!this.messages.some((m) => m.to === id)) continue;
        done = false;
        this.indented(`> ${id} receiving messages`, () => this.deliver(id, null, false));
      }
      for (const thread of ["append", "apply"] as const) {
        for (const id of members) {
          const member = this.member(id);
          const work = (): LocalMessage[] => (thread === "append" ? member.appendWork : member.applyWork);
          if (work().length === 0) continue;
          done = false;
          this.indented(`> ${id} processing ${thread} thread`, () => {
            while (work().length > 0) this.processThread(id, thread);
          });
        }
      }
    }
  }
}
