/** The commands of etcd-io/raft's tables of quorums and configuration changes, answered by our core in their notation. */
import { changeSimply, EMPTY_CONF, enterJoint, leaveJoint, type Membership } from "../../../core/consensus/raft/conf-change.ts";
import { NO_LIMIT } from "../../../core/consensus/raft/config.ts";
import { jointIndex, jointVote, majorityIndex, majorityVote } from "../../../core/consensus/raft/quorum.ts";
import { Tracker } from "../../../core/consensus/raft/tracker.ts";
import { type NodeId, RaftError } from "../../../core/consensus/raft/types.ts";
import type { Case } from "./datadriven.ts";
import { describeConf, describeProgress, parseChanges } from "./notation.ts";

const VOTE_NAMES = { won: "VoteWon", lost: "VoteLost", pending: "VotePending" };

export function runQuorum({ command, args }: Case): string {
  const option = (key: string): string[] | undefined => args.find((arg) => arg.key === key)?.values;
  const ids = (key: string): NodeId[] => (option(key) ?? []).filter((value) => value !== "zero").map(Number);
  const voters = ids("cfg");
  const outgoing = ids("cfgj");
  const joint = option("cfgj") !== undefined;
  // One value a voter, in the order in which voters are named first; `_` is no value.
  const all = [...new Set([...voters, ...outgoing])];
  const given = option(command === "vote" ? "votes" : "idx") ?? [];
  if (given.length !== all.length) throw new Error(`${given.length} values for ${all.length} voters`);
  if (command === "vote") {
    const votes = new Map(all.flatMap((id, i) => (given[i] === "_" ? [] : [[id, given[i] === "y"] as const])));
    return VOTE_NAMES[joint ? jointVote(voters, outgoing, votes) : majorityVote(voters, votes)];
  }
  const values = new Map(all.flatMap((id, i) => (given[i] === "_" ? [] : [[id, Number(given[i])] as const])));
  const of = (id: NodeId): number | undefined => values.get(id);
  const index = joint ? jointIndex(voters, outgoing, of) : majorityIndex(voters, of);
  return `${describeAcknowledged(all, values)}${Number.isFinite(index) ? String(index) : "∞"}`;
}

/** A bar a voter: how many voters have less. */
function describeAcknowledged(all: readonly NodeId[], values: ReadonlyMap<NodeId, number>): string {
  if (all.length === 0) return "<empty majority quorum>";
  const lines = [`${" ".repeat(all.length)}    idx`];
  for (const id of [...all].sort((a, b) => a - b)) {
    const value = values.get(id);
    const less = all.filter((other) => (values.get(other) ?? 0) < (value ?? 0)).length;
    const bar = value === undefined ? `?${" ".repeat(all.length)}` : `${"x".repeat(less)}>${" ".repeat(all.length - less)}`;
    lines.push(`${bar} ${String(value ?? 0).padStart(5)}    (id=${id.toString(16)})`);
  }
  return `${lines.join("\n")}\n`;
}

/** A configuration that changes, command by command. */
export class ConfTable {
  #membership: Membership = { conf: EMPTY_CONF, progress: new Map() };
  #lastIndex = 0;

  /** The configuration and its progress, or the error's sentence. */
  run({ command, args, input }: Case): { text: string; failed: boolean } {
    const options = { lastIndex: this.#lastIndex++, maxInflightMessages: 10, maxInflightBytes: NO_LIMIT };
    const changes = parseChanges(input);
    const autoLeave = args.find(({ key }) => key === "autoleave")?.values[0] === "true";
    try {
      if (command === "simple") this.#membership = changeSimply(this.#membership, changes, options);
      else if (command === "enter-joint") this.#membership = enterJoint(this.#membership, changes, autoLeave, options);
      else if (command === "leave-joint") this.#membership = leaveJoint(this.#membership, options);
      else throw new Error(`an unknown command: ${command}`);
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      return { text: error.message, failed: true };
    }
    const tracker = new Tracker(10, NO_LIMIT);
    tracker.use(this.#membership);
    const lines = tracker.all.map((progress) => {
      const view = { ...progress, paused: progress.isPaused(), inflight: 0, full: false };
      return `${progress.id}: ${describeProgress(view)}`;
    });
    return { text: [describeConf(this.#membership.conf), ...lines].join("\n"), failed: false };
  }
}
