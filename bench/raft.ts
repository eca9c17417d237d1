// `npm run bench -- raft`: proposals a second through three Raft nodes in memory, in one thread (--seconds 2 --rounds 5 --size 128).
// Its peer in the same run: etcd-io/raft's Go core (bench/raft-go), driven in the same way. Rounds alternate, and the best of each
// counts: other work on the machine only ever slows one down.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MemoryStorage } from "../core/consensus/raft/memory.ts";
import { RaftNode } from "../core/consensus/raft/node.ts";
import type { Message } from "../core/consensus/raft/types.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "2" },
    rounds: { type: "string", default: "5" },
    size: { type: "string", default: "128" },
  },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const size = Number(values.size);
if (!(seconds > 0) || !(rounds >= 1) || !(size >= 1)) throw new Error("--seconds is above 0, --rounds and --size are at least 1.");

/** Entries that stay in the log when it is compacted, and at how many it is. */
const KEEP = 1_000;
const COMPACT_AT = 20_000;

/** One for all: making bytes is not what is measured, in Go neither. */
const PAYLOAD = new Uint8Array(size);

type Mode = { what: string; outstanding: number; together: boolean };
const MODES: Mode[] = [
  { what: "1 outstanding", outstanding: 1, together: false },
  { what: "64 outstanding, one call each", outstanding: 64, together: false },
  { what: "64 outstanding, one call for all", outstanding: 64, together: true },
];

class Member {
  readonly storage = new MemoryStorage();
  readonly node: RaftNode;
  applied = 1;
  compacted = 1;

  constructor(id: number) {
    const conf = { voters: [1, 2, 3], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    this.storage.applySnapshot({ index: 1, term: 1, conf, data: new Uint8Array(0) });
    this.node = new RaftNode({
      id,
      storage: this.storage,
      applied: 1,
      electionTicks: 10,
      heartbeatTicks: 1,
      maxSizePerMessage: 1 << 20,
      maxCommittedSizePerReady: 1 << 20,
      maxUncommittedSize: 1 << 30,
      maxInflightMessages: 256,
      maxInflightBytes: Number.MAX_SAFE_INTEGER,
      checkQuorum: false,
      preVote: true,
      random: (below) => Math.floor(Math.random() * below),
      readsNeedFence: false,
      disableProposalForwarding: false,
      disableConfChangeValidation: false,
      stepDownOnRemoval: false,
    });
  }
}

class Group {
  readonly members = [1, 2, 3].map((id) => new Member(id));
  #queue: Message[] = [];
  /** Proposals that the leader applied. */
  committed = 0;

  constructor() {
    this.members[0]!.node.campaign();
    for (let i = 0; i < 20; i++) this.pump();
  }

  /** Every node does what is ready, once; what they send is delivered. */
  pump(): void {
    for (let i = 0; i < 3; i++) {
      const member = this.members[i]!;
      const { node, storage } = member;
      if (!node.hasReady()) continue;
      const ready = node.ready();
      if (ready.hardState !== null) storage.hardState = ready.hardState;
      if (ready.entries.length > 0) storage.append(ready.entries);
      for (const m of ready.messages) this.#queue.push(m);
      for (const entry of ready.committed) {
        member.applied = entry.index;
        if (i === 0 && entry.data.length > 0) this.committed++;
      }
      node.advance();
      if (member.applied - member.compacted > COMPACT_AT) {
        member.compacted = member.applied - KEEP;
        storage.compact(member.compacted);
      }
    }
    const queue = this.#queue;
    this.#queue = [];
    for (const m of queue) this.members[m.to - 1]!.node.step(m);
  }

  /** Proposals a second. */
  run({ outstanding, together }: Mode, length: number): number {
    const { node } = this.members[0]!;
    const base = this.committed;
    const began = performance.now();
    let proposed = 0;
    for (;;) {
      for (let n = 0; n < 50; n++) {
        if (!together) {
          for (; proposed - (this.committed - base) < outstanding; proposed++) node.propose(PAYLOAD);
        } else if (proposed === this.committed - base) {
          node.proposeMany(Array.from({ length: outstanding }, () => PAYLOAD));
          proposed += outstanding;
        }
        this.pump();
      }
      const taken = (performance.now() - began) / 1000;
      if (taken >= length) return (this.committed - base) / taken;
    }
  }
}

function ours(mode: Mode): number {
  const group = new Group();
  group.run(mode, seconds / 4);
  return group.run(mode, seconds);
}

/** The Go program, built; or why there is none. */
function buildPeer(folder: string): string | Error {
  const program = join(folder, "raft-go");
  const cwd = fileURLToPath(new URL("raft-go/", import.meta.url));
  const built = spawnSync("go", ["build", "-o", program, "."], { cwd, encoding: "utf8" });
  if (built.error !== undefined) return new Error("go is not installed: only ours is measured");
  return built.status === 0 ? program : new Error(`go build failed: ${built.stderr.trim()}`);
}

function theirs(program: string, { outstanding, together }: Mode): number {
  const args = ["-outstanding", String(outstanding), `-together=${together}`, "-size", String(size), "-seconds", String(seconds)];
  const ran = spawnSync(program, args, { encoding: "utf8" });
  if (ran.status !== 0) throw new Error(`the Go core failed: ${ran.stderr}`);
  return (JSON.parse(ran.stdout) as { rate: number }).rate;
}

const folder = mkdtempSync(join(tmpdir(), "raft-bench-"));
try {
  const peer = buildPeer(folder);
  console.log(`three Raft nodes in memory, proposals of ${size} bytes, best of ${rounds} rounds of ${seconds} s each, one thread\n`);
  if (peer instanceof Error) console.log(`  ${peer.message}\n`);
  console.log("      ours/s   etcd-io/raft/s   ours is   what");
  for (const mode of MODES) {
    let best = 0;
    let other = 0;
    for (let round = 0; round < rounds; round++) {
      best = Math.max(best, ours(mode));
      if (typeof peer === "string") other = Math.max(other, theirs(peer, mode));
    }
    const compared =
      other > 0 ? `${other.toFixed(0).padStart(16)} ${(best / other).toFixed(2).padStart(8)}x` : `${"-".padStart(16)} ${"-".padStart(9)}`;
    console.log(`${best.toFixed(0).padStart(12)} ${compared}   ${mode.what}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
