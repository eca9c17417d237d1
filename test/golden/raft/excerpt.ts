/**
 * `node test/golden/raft/excerpt.ts` writes the part of the transcripts and tables that is kept in the repository, in our own
 * format: what a directive must yield, as facts, states and messages (see facts.ts).
 */
import { writeFileSync } from "node:fs";
import { expectedOf, type File, filesIn } from "./source.ts";

const TRANSCRIPTS = ["campaign_learner_must_vote.txt", "checkquorum.txt", "confchange_v2_add_double_implicit.txt"];
TRANSCRIPTS.push("snapshot_succeed_via_app_resp.txt");
const QUORUMS = ["joint_commit.txt", "joint_vote.txt"];
const CHANGES = ["joint_learners_next.txt", "joint_safety.txt", "simple_safety.txt"];

const convert = (files: File[], names: string[], expected: (item: File["cases"][number]) => string): File[] =>
  files
    .filter(({ name }) => names.includes(name))
    .map(({ name, cases }) => ({ name, cases: cases.map((item) => ({ ...item, expected: expected(item) })) }));

const excerpt = {
  from: "etcd-io/raft v3.7.0 (Apache-2.0), converted by test/golden/raft/excerpt.ts",
  transcripts: convert(filesIn("testdata"), TRANSCRIPTS, expectedOf),
  quorums: convert(filesIn("quorum/testdata"), QUORUMS, (item) => item.expected),
  changes: convert(filesIn("confchange/testdata"), CHANGES, (item) => item.expected),
};
writeFileSync(new URL("excerpt.golden.json", import.meta.url), `${JSON.stringify(excerpt).replaceAll('{"line"', '\n{"line"')}\n`);
