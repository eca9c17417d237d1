/** The directives of etcd-io/raft's interaction transcripts, run on our core. */
import { EMPTY_CONF } from "../../../core/consensus/raft/conf-change.ts";
import type { RaftNode } from "../../../core/consensus/raft/node.ts";
import { type ConfChange, type ConfState, type MessageType, RaftError, type Snapshot } from "../../../core/consensus/raft/types.ts";
import { AsyncFace } from "./async-face.ts";
import { Cluster, NO_DATA, type Settings } from "./cluster.ts";
import type { Case } from "./datadriven.ts";
import { describeEntry, describeMessage, describeProgress, LEVELS, messageName, parseChanges, roleName } from "./notation.ts";

const MESSAGE_TYPES: MessageType[] = ["append", "appendResponse", "heartbeat", "heartbeatResponse", "vote", "voteResponse"];
MESSAGE_TYPES.push("preVote", "preVoteResponse", "snapshot", "timeoutNow");

type Option = (key: string) => string[];
/** `words`: all arguments; `ids`: those without a value, as numbers; `id`: the first of them. */
type Call = { id: number; ids: number[]; option: Option; words: string[]; input: string };

export class Interpreter {
  readonly cluster = new Cluster((node) => new AsyncFace(node));

  /** The output as {@link ./facts.ts} makes it of a transcript's expectation. */
  run(item: Case): string {
    let error = "";
    try {
      this.#directive(item);
    } catch (thrown) {
      if (!(thrown instanceof RaftError)) throw thrown;
      error = `! error ${thrown.code}`;
    }
    const output = this.cluster.takeOutput();
    const lines = [output, error].filter((line) => line !== "");
    return lines.length === 0 ? "ok" : lines.join("\n");
  }

  #directive({ command, args, input }: Case): void {
    const ids = args.filter(({ values }) => values.length === 0).map(({ key }) => Number(key));
    const option: Option = (key) => args.filter((arg) => arg.key === key).flatMap(({ values }) => values);
    const directive = this.#directives[command];
    if (directive === undefined) throw new Error(`an unknown directive: ${command}`);
    directive({ ids, id: ids[0] ?? 0, option, words: args.map(({ key }) => key), input });
  }

  readonly #node = (id: number): RaftNode => this.cluster.member(id).node;

  readonly #directives: Record<string, (call: Call) => void> = {
    "add-nodes": ({ id, option }) => this.#addNodes(id, option),
    campaign: ({ id }) => this.#node(id).campaign(),
    compact: ({ id, ids }) => {
      this.cluster.member(id).storage.compact(ids[1]!);
      this.#raftLog(id);
    },
    "deliver-msgs": ({ ids, option }) => this.#deliver(ids, option),
    "forget-leader": ({ id }) => this.#node(id).forgetLeader(),
    "log-level": ({ words }) => this.#logLevel(words[0]!),
    "process-ready": ({ ids }) => this.#each(ids, "handling Ready", (each) => this.cluster.processReady(each)),
    "process-append-thread": ({ ids }) => this.#each(ids, "processing append thread", (each) => this.cluster.processThread(each, "append")),
    "process-apply-thread": ({ ids }) => this.#each(ids, "processing apply thread", (each) => this.cluster.processThread(each, "apply")),
    propose: ({ id, words }) => this.#node(id).propose(new TextEncoder().encode(words[1]!)),
    "propose-conf-change": ({ id, option, input }) => {
      const transition = (option("transition")[0] ?? "auto") as ConfChange["transition"];
      this.#node(id).proposeConfChange({ transition, changes: parseChanges(input), context: NO_DATA });
    },
    "raft-log": ({ id }) => this.#raftLog(id),
    "raft-state": () => this.#raftState(),
    "report-unreachable": ({ id, ids }) => this.#node(id).reportUnreachable(ids[1]!),
    "send-snapshot": ({ id, ids }) => this.#sendSnapshot(id, ids[1]!),
    "set-randomized-election-timeout": ({ id, option }) => {
      this.#node(id).raft.randomizedElectionTimeout = Number(option("timeout")[0]);
    },
    stabilize: ({ ids, option }) => {
      const before = this.cluster.level;
      const level = option("log-level")[0];
      if (level !== undefined) this.#logLevel(level);
      this.cluster.stabilize(ids);
      this.cluster.level = before;
    },
    status: ({ id }) => this.#status(id),
    "tick-election": ({ id }) => this.#tick(id, this.#node(id).raft.config.electionTicks),
    "tick-heartbeat": ({ id }) => this.#tick(id, this.#node(id).raft.config.heartbeatTicks),
    "transfer-leadership": ({ option }) => this.#node(Number(option("from")[0])).transferLeader(Number(option("to")[0])),
  };

  #logLevel(name: string): void {
    this.cluster.level = LEVELS.indexOf(name.toUpperCase());
  }

  #addNodes(count: number, option: Option): void {
    const numbers = (key: string): number[] => option(key).map(Number);
    const flag = (key: string): boolean => option(key)[0] === "true";
    const conf: ConfState = { ...EMPTY_CONF, voters: numbers("voters"), learners: numbers("learners") };
    const index = numbers("index")[0] ?? 0;
    const data = new TextEncoder().encode(option("content")[0] ?? "");
    const snapshot: Snapshot = { index, term: index > 0 ? 1 : 0, conf, data };
    const settings: Settings = {
      asyncStorage: flag("async-storage-writes"),
      preVote: flag("prevote"),
      checkQuorum: flag("checkquorum"),
      disableConfChangeValidation: flag("disable-conf-change-validation"),
      stepDownOnRemoval: flag("step-down-on-removal"),
    };
    const inflight = numbers("inflight")[0];
    if (inflight !== undefined) settings.maxInflightMessages = inflight;
    const committedSize = numbers("max-committed-size-per-ready")[0];
    if (committedSize !== undefined) settings.maxCommittedSizePerReady = committedSize;
    for (let i = 0; i < count; i++) this.cluster.add(snapshot, settings);
  }

  #deliver(ids: readonly number[], option: Option): void {
    const name = option("type")[0];
    const type = name === undefined ? null : MESSAGE_TYPES.find((each) => messageName(each) === name);
    if (type === undefined) throw new Error(`an unknown type of message: ${name}`);
    let count = 0;
    for (const to of ids) count += this.cluster.deliver(to, type, false);
    for (const to of option("drop")) count += this.cluster.deliver(Number(to), type, true);
    if (count === 0) this.cluster.write("no messages");
  }

  #each(ids: readonly number[], title: string, run: (id: number) => void): void {
    for (const id of ids) {
      if (ids.length > 1) this.cluster.indented(`> ${id} ${title}`, () => run(id));
      else run(id);
    }
  }

  #raftLog(id: number): void {
    const { storage } = this.cluster.member(id);
    const first = storage.firstIndex();
    const last = storage.lastIndex();
    if (last < first) this.cluster.write(`log is empty: first index=${first}, last index=${last}`);
    else for (const entry of storage.entries(first, last + 1, Number.MAX_SAFE_INTEGER)) this.cluster.write(describeEntry(entry));
  }

  #raftState(): void {
    for (const { node } of this.cluster.members) {
      const { id, role, term, leader, conf } = node.status();
      const voter = conf.voters.includes(id) || conf.votersOutgoing.includes(id);
      this.cluster.write(`${id}: ${roleName(role)} (${voter ? "Voter" : "Non-Voter"}) Term:${term} Lead:${leader}`);
    }
  }

  #status(id: number): void {
    const { raft } = this.cluster.member(id).node;
    if (raft.role !== "leader") return;
    for (const progress of raft.tracker.all) {
      const { inflights } = progress;
      const view = { ...progress, paused: progress.isPaused(), inflight: inflights.count, full: inflights.full() };
      this.cluster.write(`${progress.id}: ${describeProgress(view)}`);
    }
  }

  #tick(id: number, count: number): void {
    for (let i = 0; i < count; i++) this.cluster.member(id).node.tick();
  }

  /** As a leader would, whatever it thinks of the follower. */
  #sendSnapshot(from: number, to: number): void {
    const { node, storage } = this.cluster.member(from);
    const snapshot = storage.snapshot();
    const empty = { logTerm: 0, index: 0, entries: [], commit: 0, reject: false, rejectHint: 0, context: NO_DATA };
    const m = { type: "snapshot" as const, from, to, term: node.status().term, ...empty, snapshot };
    this.cluster.messages.push(m);
    this.cluster.write(describeMessage(m));
  }
}
