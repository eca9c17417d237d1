/**
 * A group in which everything that can go wrong does, as the test's steps say: messages are lost, doubled and overtaken; hosts
 * crash, also between a Ready and its write, and forget what need not be durable; a host may go on as leader without an
 * election; a superseded instance of a host lives on. What the paper promises is checked at every step.
 */
import { EMPTY_CONF } from "./conf-change.ts";
import { decodeConfChange } from "./conf-codec.ts";
import type { RaftConfig } from "./config.ts";
import { MemoryStorage } from "./memory.ts";
import { RaftNode } from "./node.ts";
import { type ConfChange, type ConfState, type Entry, type Message, type NodeId, RaftError, type Ready } from "./types.ts";

/** A message with the incarnations of its sender and, if it is an answer, of whom it answers. */
type Envelope = { m: Message; incarnation: number };
type Settings = Partial<Omit<RaftConfig, "id" | "storage" | "applied" | "random">>;

export class Violation extends Error {}

export function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
const text = (data: Uint8Array): string => String.fromCharCode(...data);

/** A storage of its own with the same content: what a superseded instance sees no more. */
function copyOf(storage: MemoryStorage): MemoryStorage {
  const copy = new MemoryStorage();
  const compacted = storage.firstIndex() - 1;
  const snapshot = storage.snapshot();
  if (compacted > 0) copy.applySnapshot({ ...snapshot, index: compacted, term: storage.term(compacted) });
  copy.append(storage.entries(compacted + 1, storage.lastIndex() + 1, Number.MAX_SAFE_INTEGER));
  if (snapshot.index > compacted) copy.createSnapshot(snapshot.index, snapshot.conf, snapshot.data);
  copy.hardState = storage.hardState;
  copy.conf = storage.conf;
  return copy;
}

/** One running process of a host. */
export class Instance {
  readonly host: Host;
  readonly node: RaftNode;
  readonly storage: MemoryStorage;
  readonly incarnation: number;
  applied: number;
  conf: ConfState;
  /** Its writes fail: another instance took its place. */
  superseded = false;

  constructor(host: Host, config: RaftConfig) {
    this.host = host;
    this.storage = host.storage;
    this.incarnation = host.incarnation;
    this.applied = config.applied;
    this.conf = host.checkpoint.conf;
    this.node = new RaftNode(config);
  }
}

export class Host {
  readonly id: NodeId;
  storage = new MemoryStorage();
  /** The state machine as of `index`, which a restart begins with. */
  checkpoint: { index: number; conf: ConfState };
  /** Durable beside the log: the term it leads, how often it started, and how often the others did. */
  leads = 0;
  incarnation = 0;
  readonly seen = new Map<NodeId, number>();
  running: Instance | null = null;
  twin: Instance | null = null;

  constructor(id: NodeId, conf: ConfState) {
    this.id = id;
    if (conf.voters.includes(id)) this.storage.applySnapshot({ index: 1, term: 1, conf, data: new Uint8Array(0) });
    this.checkpoint = { index: conf.voters.includes(id) ? 1 : 0, conf: this.storage.conf };
    this.storage.hardState = { term: this.checkpoint.index, vote: 0, commit: this.checkpoint.index };
  }
}

export class Cluster {
  readonly hosts: Host[];
  readonly network: Envelope[] = [];
  /** What is committed, by index: the truth once anybody says so. */
  readonly committed = new Map<number, string>();
  /** The greatest index that a client may know to be committed. */
  floor = 1;
  /** The configuration after `floor`. */
  conf: ConfState;
  readonly #entries = new Map<string, string>();
  readonly #leaders = new Map<number, NodeId>();
  readonly #reads = new Map<string, number>();
  readonly #random: (below: number) => number;
  readonly #settings: Settings;
  #cut: NodeId[] = [];
  answered = 0;
  stuck = false;
  #count = 0;

  constructor(size: number, voters: NodeId[], settings: Settings, random: (below: number) => number) {
    this.#random = random;
    this.#settings = settings;
    this.conf = { ...EMPTY_CONF, voters };
    this.hosts = Array.from({ length: size }, (_, i) => new Host(i + 1, this.conf));
    for (const host of this.hosts) this.start(host, 0);
  }

  host(id: NodeId): Host {
    return this.hosts[id - 1]!;
  }

  node(id: NodeId): RaftNode {
    return this.host(id).running!.node;
  }

  /** Starts an instance. `forget`: how many indices of the commit index were not durable. */
  start(host: Host, forget: number): Instance {
    host.incarnation++;
    const { term, vote, commit } = host.storage.hardState;
    host.storage.hardState = { term, vote, commit: Math.max(0, commit - forget) };
    host.storage.conf = host.checkpoint.conf;
    host.running = new Instance(host, {
      id: host.id,
      storage: host.storage,
      applied: host.checkpoint.index,
      electionTicks: 10,
      heartbeatTicks: 2,
      maxSizePerMessage: 60,
      maxCommittedSizePerReady: 80,
      maxUncommittedSize: 1_000,
      maxInflightMessages: 3,
      maxInflightBytes: 200,
      checkQuorum: false,
      preVote: true,
      readsNeedFence: false,
      disableProposalForwarding: false,
      disableConfChangeValidation: false,
      stepDownOnRemoval: true,
      random: this.#random,
      ...this.#settings,
    });
    return host.running;
  }

  /** Crashes and starts again; a host whose durable state says that it leads may go on leading. */
  restart(host: Host, forget: number, resume: boolean): void {
    const instance = this.start(host, forget);
    this.#goOn(instance, resume);
  }

  #goOn(instance: Instance, resume: boolean): void {
    if (!resume || instance.host.leads === 0 || instance.host.leads !== instance.storage.hardState.term) return;
    if (!instance.node.resume()) {
      this.run(instance);
      instance.node.resume();
    }
    this.run(instance);
  }

  /** Another instance starts while the old one lives: it only cannot write any more. */
  supersede(host: Host, resume: boolean): Instance {
    const old = host.running!;
    old.superseded = true;
    host.twin = old;
    host.storage = copyOf(host.storage);
    this.#goOn(this.start(host, 0), resume);
    return old;
  }

  /** Takes what is ready and does it: write, send, apply. False if the instance could not write and is gone. */
  run(instance: Instance): boolean {
    while (instance.node.hasReady()) {
      const ready = instance.node.ready();
      if (!this.#persist(instance, ready)) return false;
      for (const m of ready.messages) {
        if (!this.#isCut(m)) this.network.push({ m: { ...m, entries: [...m.entries] }, incarnation: instance.incarnation });
      }
      this.#apply(instance, ready);
      for (const read of ready.reads) this.#answer(read.context, read.index);
      instance.node.advance();
      this.#check(instance);
    }
    return true;
  }

  #persist(instance: Instance, ready: Ready): boolean {
    const { host, storage } = instance;
    const { term, vote } = ready.hardState ?? storage.hardState;
    const durable =
      ready.entries.length > 0 || ready.snapshot !== null || term !== storage.hardState.term || vote !== storage.hardState.vote;
    if (instance.superseded && durable) {
      host.twin = null;
      return false;
    }
    if (ready.hardState !== null) storage.hardState = ready.hardState;
    if (ready.snapshot !== null) {
      storage.applySnapshot(ready.snapshot);
      host.checkpoint = { index: ready.snapshot.index, conf: ready.snapshot.conf };
      instance.applied = ready.snapshot.index;
      instance.conf = ready.snapshot.conf;
    }
    storage.append(ready.entries);
    const { raft } = instance.node;
    if (!instance.superseded) host.leads = raft.role === "leader" ? raft.term : host.leads === raft.term ? host.leads : 0;
    return true;
  }

  #apply(instance: Instance, ready: Ready): void {
    for (const entry of ready.committed) {
      if (entry.index !== instance.applied + 1) throw new Violation(`${instance.host.id} applied ${entry.index} after ${instance.applied}`);
      instance.applied = entry.index;
      const content = `${entry.term} ${entry.kind} ${text(entry.data)}`;
      const known = this.committed.get(entry.index);
      if (known !== undefined && known !== content) {
        throw new Violation(`${instance.host.id} applied "${content}" at ${entry.index}, where "${known}" is committed`);
      }
      this.committed.set(entry.index, content);
      // A host makes a new snapshot after each change, for the nodes that it adds.
      if (entry.kind === "conf") {
        try {
          instance.conf = instance.node.applyConfChange(decodeConfChange(entry.data));
        } catch (error) {
          if (!(error instanceof RaftError) || error.code !== "badConfChange") throw error;
        }
      }
      if (entry.kind === "conf" && !instance.superseded) this.#snapshot(instance);
      if (entry.index > this.floor) {
        this.floor = entry.index;
        this.conf = instance.conf;
      }
    }
  }

  /** Election safety, log matching and leader append-only (figure 3 of the paper). */
  #check(instance: Instance): void {
    const { raft } = instance.node;
    if (raft.role === "leader") {
      const other = this.#leaders.get(raft.term) ?? raft.id;
      if (other !== raft.id) throw new Violation(`${raft.id} and ${other} lead term ${raft.term}`);
      this.#leaders.set(raft.term, raft.id);
    }
    if (instance.superseded) return;
    const { storage } = instance;
    let previous = storage.term(storage.firstIndex() - 1);
    for (const entry of storage.entries(storage.firstIndex(), storage.lastIndex() + 1, Number.MAX_SAFE_INTEGER)) {
      this.#checkEntry(entry, previous);
      previous = entry.term;
    }
  }

  /** An index and a term name one entry and, by induction, all before it. */
  #checkEntry(entry: Entry, previous: number): void {
    const key = `${entry.term}/${entry.index}`;
    const content = `${previous} ${entry.kind} ${text(entry.data)}`;
    const known = this.#entries.get(key);
    if (known !== undefined && known !== content) throw new Violation(`${key} is "${content}" here and "${known}" elsewhere`);
    this.#entries.set(key, content);
  }

  /** Delivers one message, to the twin if there is one and `toTwin`. A lower incarnation than the one seen is refused. */
  deliver({ m, incarnation }: Envelope, toTwin = false): void {
    const host = this.host(m.to);
    const instance = toTwin && host.twin !== null && host.twin.node.raft.role === "leader" ? host.twin : host.running;
    if (instance === null) return;
    // Passed on, `from` is the one that asked first: whose incarnation this is, is not said here.
    if (m.type !== "propose" && m.type !== "readIndex" && m.type !== "transferLeader") {
      if ((host.seen.get(m.from) ?? 0) > incarnation) return;
      host.seen.set(m.from, incarnation);
    }
    try {
      this.attempt(() => instance.node.step(m));
    } catch (error) {
      // Told of what the other instance did, a superseded one may find out that it lacks it.
      if (!instance.superseded || !(error instanceof RaftError) || error.code !== "corrupt") throw error;
      host.twin = null;
      return;
    }
    this.run(instance);
  }

  attempt(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof RaftError) || error.code !== "proposalDropped") throw error;
    }
  }

  propose(id: NodeId): void {
    this.attempt(() => this.node(id).propose(bytes(`p${++this.#count}`)));
    this.run(this.host(id).running!);
  }

  change(id: NodeId, cc: Omit<ConfChange, "context">): void {
    this.attempt(() => this.node(id).proposeConfChange({ ...cc, context: bytes(`c${++this.#count}`) }));
    this.run(this.host(id).running!);
  }

  /** Asks for a read; what it may not miss is what is committed now. */
  read(instance: Instance): Uint8Array {
    const context = bytes(`r${++this.#count}`);
    this.#reads.set(text(context), this.floor);
    instance.node.readIndex(context);
    this.run(instance);
    return context;
  }

  #answer(context: Uint8Array, index: number): void {
    const floor = this.#reads.get(text(context));
    if (floor === undefined) throw new Violation("a read that nobody asked for");
    if (index < floor) throw new Violation(`a read at ${index} missed what was committed at ${floor} when it was asked`);
    this.answered++;
  }

  /** A durable write of this instance: it vouches for the reads that began before. A superseded one cannot. */
  fence(instance: Instance): void {
    const { fence } = instance.node.status();
    if (fence === null) return;
    if (instance.superseded) {
      instance.host.twin = null;
      return;
    }
    instance.node.acknowledgeRead(fence);
    this.run(instance);
  }

  #snapshot({ host, storage, applied, conf }: Instance): void {
    if (applied <= storage.snapshot().index) return;
    storage.createSnapshot(applied, conf, bytes(`s${applied}`));
    host.checkpoint = { index: applied, conf };
  }

  /** Snapshot of what is applied; the log before it goes, but for `keep` entries. */
  compact(host: Host, keep: number): void {
    const instance = host.running!;
    this.#snapshot(instance);
    const at = instance.applied - keep;
    if (at >= host.storage.firstIndex()) host.storage.compact(at);
  }

  /** Delivers all that is under way, and what follows from it. */
  deliverAll(): void {
    for (let i = 0; i < 10_000 && this.network.length > 0; i++) this.deliver(this.network.shift()!);
  }

  /** Delivers what is under way to this node now; the rest stays. */
  deliverTo(id: NodeId): void {
    for (const envelope of this.network.splice(0)) {
      if (envelope.m.to === id) this.deliver(envelope);
      else this.network.push(envelope);
    }
  }

  /** What is under way from or to these nodes is lost, and all that follows until the next call. */
  cutOff(...ids: NodeId[]): void {
    this.#cut = ids;
    const left = this.network.filter(({ m }) => !this.#isCut(m));
    this.network.splice(0, this.network.length, ...left);
  }

  #isCut(m: Message): boolean {
    return this.#cut.includes(m.from) || this.#cut.includes(m.to);
  }

  /** This node stands for election, and all messages arrive. */
  elect(id: NodeId): void {
    this.node(id).campaign();
    this.run(this.host(id).running!);
    this.deliverAll();
  }

  tick(id: NodeId, count: number): void {
    for (let i = 0; i < count; i++) this.node(id).tick();
    this.run(this.host(id).running!);
  }

  /** Nothing is lost any more, and time passes, until one leader has replicated everything. Throws if that does not come. */
  heal(): void {
    this.cutOff();
    for (const host of this.hosts) host.twin = null;
    for (let round = 0; round < 400; round++) {
      this.deliverAll();
      const leader = this.#settledLeader();
      if (leader !== null) {
        const before = this.floor;
        this.propose(leader);
        this.deliverAll();
        if (this.floor > before) return;
      }
      for (const { running } of this.hosts) {
        // A node that was removed may not know it, and would disturb for ever.
        if (running === null || !this.#isMember(running.host.id)) continue;
        running.node.tick();
        // A host says so when a snapshot did not arrive: nothing is under way here.
        for (const peer of running.node.status().peers) if (peer.state === "snapshot") running.node.reportSnapshot(peer.id, false);
        this.run(running);
        this.fence(running);
      }
    }
    if (!this.#isStuck()) throw new Violation("no leader came to an end");
    this.stuck = true;
  }

  /**
   * The one known way to no leader (SPEC, RC6): a leader removed itself and failed before anybody else knew that this is
   * committed. The others still need its vote, and its log is longer than theirs.
   */
  #isStuck(): boolean {
    const end = (id: NodeId): number => this.node(id).raft.log.lastTerm() * 1e6 + this.node(id).raft.log.lastIndex();
    const voters = this.hosts.filter(({ id }) => this.conf.voters.includes(id)).map(({ id }) => end(id));
    const others = this.hosts.filter(({ id }) => !this.conf.voters.includes(id)).map(({ id }) => end(id));
    return Math.max(...others) > Math.max(...voters);
  }

  #isMember(id: NodeId): boolean {
    const { voters, votersOutgoing, learners } = this.conf;
    return voters.includes(id) || votersOutgoing.includes(id) || learners.includes(id);
  }

  #settledLeader(): NodeId | null {
    for (const { running } of this.hosts) {
      if (running !== null && this.#isMember(running.host.id) && running.node.raft.role === "leader" && running.node.isSettled()) {
        return running.host.id;
      }
    }
    return null;
  }
}
