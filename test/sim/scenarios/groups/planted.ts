import { Sim } from "../../kit/sim.ts";
import type { Mutation } from "../../runner/mutation.ts";
import { drawPlan, type Plan } from "./plan.ts";

/**
 * A mistake that consensus has been made with elsewhere, put into the real code: `npm run sim -- --planted` finds each by drawing
 * seeds. `seed` is one that finds it; the tests run that one, with the mistake and without.
 */
export type PlantedBug = {
  name: string;
  /** What the code does wrong. */
  mistake: string;
  edits: readonly Mutation[];
  /** Where it is rare: the plans in which it is likely to show. Others are left out when it is looked for. */
  shows?: (plan: Plan) => boolean;
  seed: number;
};

/** Whether a seed's plan is one in which a mistake may show. */
export function mayShow({ shows }: PlantedBug, seed: number): boolean {
  return shows === undefined || shows(drawPlan(new Sim(seed).random));
}

const RAFT = "core/consensus/raft";
const REPLICA = "core/consensus/replica";
const KV = "core/consensus/kv";

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "vote-not-kept",
    mistake: "A vote is answered and not persisted: after a crash it is given again, to another.",
    edits: [
      {
        file: `${REPLICA}/core.ts`,
        from: "this.storage.setState({ term, vote, leads: state.leads && term === state.term });",
        to: "this.storage.setState({ term, vote: vote === this.id ? vote : NO_NODE, leads: state.leads && term === state.term });",
      },
    ],
    seed: 86,
  },
  {
    name: "two-votes-a-term",
    mistake: "A vote is given to whoever asks with a good log, whatever was voted in that term before.",
    edits: [
      {
        file: `${RAFT}/election.ts`,
        from: "const free = r.vote === m.from || (r.vote === NO_NODE && r.leader === NO_NODE) || (pre && m.term > r.term);",
        to: "const free = true;",
      },
    ],
    seed: 2,
  },
  {
    name: "stale-log-elected",
    mistake: "A candidate's log counts as up to date by its last term alone, however short it is.",
    edits: [
      {
        file: `${RAFT}/log.ts`,
        from: "return term > own || (term === own && index >= this.lastIndex());",
        to: "return term >= own;",
      },
    ],
    seed: 14,
  },
  {
    name: "leads-what-it-did-not-win",
    mistake: "A woken replica goes on as the leader of a term in which it only stood.",
    edits: [
      {
        file: `${REPLICA}/core.ts`,
        from: "leads: state.leads && term === state.term });",
        to: "leads: state.leads || vote === this.id });",
      },
    ],
    seed: 2,
  },
  {
    name: "acknowledged-before-durable",
    mistake: "The last entry is acknowledged, and written with the one after it.",
    edits: [
      {
        file: `${REPLICA}/storage.ts`,
        from: "const written = this.#kept === last && this.#journal.head === last;",
        to: "const written = this.#kept === this.#journal.head && this.#journal.head >= last - 1;",
      },
    ],
    seed: 1,
  },
  {
    name: "old-term-committed",
    mistake: "An entry of an earlier term is committed by counting who has it (figure 8 of the paper).",
    edits: [
      {
        file: `${RAFT}/raft.ts`,
        from: "if (term === NO_TERM || term !== this.term) return false;",
        to: "if (term === NO_TERM) return false;",
      },
    ],
    shows: ({ faults, entryBytes, size }) => faults.has("hunt") && entryBytes === 1 && size > 2,
    seed: 7199,
  },
  {
    name: "conflict-kept",
    mistake: "A follower keeps entries that conflict with the leader's.",
    edits: [
      {
        file: `${RAFT}/log.ts`,
        from: "if (entry.index > last || this.term(entry.index) !== entry.term) return i;",
        to: "if (entry.index > last) return i;",
      },
    ],
    seed: 4,
  },
  {
    name: "heartbeat-commits-too-far",
    mistake: "A heartbeat tells a follower the whole commit index, whatever the follower may have at those places.",
    edits: [
      { file: `${RAFT}/replication.ts`, from: "m.commit = Math.min(progress.match, r.log.committed);", to: "m.commit = r.log.committed;" },
    ],
    seed: 1,
  },
  {
    name: "read-without-a-round",
    mistake: "A leader answers a linearizable read at once, without making sure that it still leads.",
    edits: [
      {
        file: `${REPLICA}/desk.ts`,
        from: 'this.#confirm(open, () => this.#range(open.id, ask, "linearizable"));',
        to: 'this.#range(open.id, ask, "linearizable");',
      },
    ],
    seed: 4,
  },
  {
    name: "read-before-its-own-commit",
    mistake: "A new leader serves reads before an entry of its term is committed, by a commit index that may be old.",
    edits: [
      { file: `${RAFT}/leader.ts`, from: "if (!r.knowsCommit()) {", to: "if (r.leadsFrom < 0) {" },
      { file: `${REPLICA}/leading.ts`, from: "if (!this.caughtUp) return { again: false, fence: false };", to: "" },
    ],
    seed: 133,
  },
  {
    name: "read-without-a-fence",
    mistake: "A leader counts itself in a read round without having written: it may be superseded and not know.",
    edits: [
      { file: `${REPLICA}/core.ts`, from: "readsNeedFence: true,", to: "readsNeedFence: false," },
      { file: `${REPLICA}/leading.ts`, from: "if (this.#alwaysFenced) return false;", to: "if (!this.#alwaysFenced) return true;" },
    ],
    shows: ({ faults, size }) => faults.has("supersede") && size < 5,
    seed: 524,
  },
  {
    name: "one-majority-of-two",
    mistake: "In a joint configuration the new majority decides alone.",
    edits: [
      {
        file: `${RAFT}/quorum.ts`,
        from: "return outgoing.length === 0 ? index : Math.min(index, majorityIndex(outgoing, acknowledged));",
        to: "return outgoing.length === 0 ? index : index;",
      },
      {
        file: `${RAFT}/quorum.ts`,
        from: "const other = majorityVote(outgoing, votes);",
        to: "const other = outgoing.length === 0 ? majorityVote(outgoing, votes) : one;",
      },
    ],
    shows: ({ faults, size }) => faults.has("membership") && faults.has("hunt") && size > 1,
    seed: 1159,
  },
  {
    name: "learner-counted",
    mistake: "Learners count towards the majority that commits.",
    edits: [
      {
        file: `${RAFT}/tracker.ts`,
        from: "return jointIndex(this.conf.voters, this.conf.votersOutgoing, this.#matchOf);",
        to: "return jointIndex([...this.conf.voters, ...this.conf.learners], this.conf.votersOutgoing, this.#matchOf);",
      },
    ],
    shows: ({ faults, size }) => faults.has("membership") && faults.has("hunt") && size > 1,
    seed: 1871,
  },
  {
    name: "snapshot-without-sessions",
    mistake: "A snapshot is restored without the sessions: a retry happens twice.",
    edits: [{ file: `${KV}/snapshot.ts`, from: "sessions.load(client, floor, answers);", to: "void [client, floor, answers];" }],
    seed: 1,
  },
  {
    name: "retry-applied-again",
    mistake: "A repeated command of a session is applied again.",
    edits: [
      { file: `${KV}/store.ts`, from: "if (recalled !== null) return {", to: "if (recalled !== null && !recalled.duplicate) return {" },
    ],
    seed: 1,
  },
  {
    name: "lease-by-anothers-clock",
    mistake: "A new leader ends leases by the times that its predecessor's clock showed.",
    edits: [
      {
        file: `${REPLICA}/core.ts`,
        from: "const book = this.#resuming ? LeaseBook.resume(leases) : LeaseBook.promote(leases, this.clock);",
        to: "const book = LeaseBook.resume(leases);",
      },
    ],
    seed: 8,
  },
  {
    name: "rollback-unnoticed",
    mistake: "Nobody looks at incarnations: a disk that was rolled back goes on as if nothing was lost.",
    edits: [
      {
        file: `${REPLICA}/peers.ts`,
        from: "if (isOver(incarnation, known.incarnation) || !mayHaveLived(envelope.lives, incarnation, known.incarnation)) {",
        to: "if (isOver(0, 0) || !mayHaveLived([], 0, 0)) {",
      },
      {
        file: `${REPLICA}/peers.ts`,
        from: "const over = (known: number) => known !== 0 && (isOver(incarnation, known) || !mayHaveLived(lives, incarnation, known));",
        to: "const over = (known: number) => known < 0 || lives.length < 0 || incarnation < 0;",
      },
    ],
    seed: 4,
  },
  {
    name: "no-pre-vote",
    mistake: "Who wants to lead raises its term at once: one that was cut off deposes a leader at work when it comes back.",
    edits: [{ file: `${REPLICA}/core.ts`, from: "preVote: true,", to: "preVote: false," }],
    seed: 16,
  },
  {
    name: "entry-nobody-can-read",
    mistake: "A leader writes entries of its own version, whatever the others can apply.",
    edits: [
      {
        file: `${REPLICA}/core.ts`,
        from: "if (id !== this.id) version = Math.min(version, this.peers.link(id).format);",
        to: "",
      },
    ],
    seed: 35,
  },
];
