/**
 * The log lines of a transcript say what its messages and states do not: decisions. Each such line becomes a fact that our
 * core has to state at the same place. Lines that only repeat in words what stands beside them are left out, and so are those
 * about the inside of etcd-io/raft; {@link NOT_COMPARED} names them all. A line that neither knows is an error of the test.
 */
const NODE = "([0-9a-f]+)";
const PROGRESS = "\\[(State\\w+) match=(\\d+) next=(\\d+)[^\\]]*\\]";
const OWN = `${NODE} \\[logterm: (\\d+), index: (\\d+), vote: ${NODE}\\]`;
const CANDIDATE = `${NODE} \\[logterm: (\\d+), index: (\\d+)\\] at term (\\d+)`;

type Fact = [pattern: string, fact: (...part: string[]) => string];
const FACTS: Fact[] = [
  [
    `${NODE} became (follower|candidate|pre-candidate|leader) at term (\\d+)`,
    (n, role, term) => `role ${n} ${role!.replace("-", "")} ${term}`,
  ],
  [`${NODE} switched to configuration (.*)`, (n, conf) => `conf ${n} ${conf}`],
  [
    `newRaft ${NODE} \\[peers: \\[.*\\], term: (\\d+), commit: (\\d+), applied: (\\d+), lastindex: (\\d+), lastterm: (\\d+)\\]`,
    (n, ...state) => `new ${n} ${state.slice(0, 5).join(" ")}`,
  ],
  [`${NODE} is starting a new election at term (\\d+)`, (n, term) => `campaign ${n} ${term}`],
  [`${NODE} ignoring MsgHup because already leader`, (n) => `campaign refused ${n} leader`],
  [`${NODE} is unpromotable and can not campaign`, (n) => `campaign refused ${n} unpromotable`],
  [`${NODE} cannot campaign at term .* pending configuration changes.*`, (n) => `campaign refused ${n} confChange`],
  [
    `${OWN} (cast|rejected|ignored) (MsgVote|MsgPreVote) (?:for|from) ${CANDIDATE}.*`,
    (n, ownTerm, ownIndex, vote, outcome, kind, candidate, theirTerm, theirIndex, term) =>
      `vote ${n} ${outcome === "ignored" ? "leased" : outcome} ${kind} ${candidate} ${theirTerm}/${theirIndex} own ${ownTerm}/${ownIndex} ${vote} ${term}`,
  ],
  [
    `${NODE} received (MsgVoteResp|MsgPreVoteResp)( rejection)? from ${NODE} at term (\\d+)`,
    (n, kind, rejection, from, term) => `poll ${n} ${kind} ${rejection === undefined ? "granted" : "rejected"} ${from} ${term}`,
  ],
  [`${NODE} has received (\\d+) (\\w+) votes and (\\d+) vote rejections`, (n, yes, kind, no) => `tally ${n} ${yes} ${kind} ${no}`],
  [
    `${NODE} \\[term: (\\d+)\\] received a (\\w+) message with higher term from ${NODE} \\[term: (\\d+)\\]`,
    (n, before, kind, from, term) => `term ${n} ${before} ${kind} ${from} ${term}`,
  ],
  [
    `${NODE} \\[term: (\\d+)\\] ignored a (\\w+) message with lower term from ${NODE} \\[term: (\\d+)\\]`,
    (n, term, kind, from, theirs) => `stale ${n} ${term} ${kind} ${from} ${theirs}`,
  ],
  [
    `${NODE} \\[term: (\\d+)\\] ignored entry appends from a MsgStorageAppendResp message with lower term \\[term: (\\d+)\\]`,
    (n, term, theirs) => `append stale ${n} ${term} ${theirs}`,
  ],
  ["raft: cannot step as peer not found", () => "unknown peer"],
  ["raft proposal dropped", () => "error proposalDropped"],
  [
    `${NODE} \\[logterm: (\\d+), index: (\\d+)\\] rejected MsgApp \\[logterm: (\\d+), index: \\d+\\] from ${NODE}`,
    (n, ownTerm, index, logTerm, from) => `append rejected ${n} ${from} ${index} ${logTerm} own ${ownTerm}`,
  ],
  [
    `${NODE} decreased progress of ${NODE} to ${PROGRESS}`,
    (n, peer, ...to) => `progress ${n} rejected ${peer} ${to.slice(0, 3).join(" ")}`,
  ],
  [
    `${NODE} paused sending replication messages to ${NODE} ${PROGRESS}`,
    (n, peer, ...to) => `progress ${n} snapshotSent ${peer} ${to.slice(0, 3).join(" ")}`,
  ],
  [
    `${NODE} recovered from needing snapshot, resumed sending replication messages to ${NODE} ${PROGRESS}`,
    (n, peer, ...to) => `progress ${n} recovered ${peer} ${to.slice(0, 3).join(" ")}`,
  ],
  [
    `${NODE} failed to send message to ${NODE} because it is unreachable ${PROGRESS}`,
    (n, peer, ...to) => `progress ${n} unreachable ${peer} ${to.slice(0, 3).join(" ")}`,
  ],
  [
    `found conflict at index (\\d+) \\[existing term: (\\d+), conflicting term: (\\d+)\\]`,
    (index, own, term) => `conflict ${index} ${own} ${term}`,
  ],
  [
    `${NODE} \\[commit: (\\d+)\\] (restored|ignored) snapshot \\[index: (\\d+), term: (\\d+)\\]`,
    (n, commit, outcome, index, term) => `restore ${n} ${outcome} ${index} ${term} ${commit}`,
  ],
  [`${NODE} ignoring conf change .*: not in joint state; refusing empty conf change`, (n) => `change refused ${n} notJoint`],
  [`${NODE} ignoring conf change .*: must transition out of joint config first`, (n) => `change refused ${n} joint`],
  [`${NODE} ignoring conf change .*: possible unapplied conf change.*`, (n) => `change refused ${n} pending`],
  ["initiating automatic transition out of joint configuration .*", () => "auto leave true"],
  [`${NODE} no leader at term (\\d+); dropping proposal`, (n, term) => `proposal dropped ${n} noLeader ${term}`],
  [`${NODE} \\[term (\\d+)\\] transfer leadership to .* dropping proposal`, (n, term) => `proposal dropped ${n} transfer ${term}`],
  [`${NODE} \\[term \\d+\\] starts to transfer leadership to ${NODE}`, (n, peer) => `transfer ${n} started ${peer}`],
  [`${NODE} sends MsgTimeoutNow to ${NODE} immediately.*`, (n, peer) => `transfer ${n} timeoutNow ${peer}`],
  [`${NODE} sent MsgTimeoutNow to ${NODE} after.*`, (n, peer) => `transfer ${n} timeoutNow ${peer}`],
  [`${NODE} \\[term \\d+\\] received MsgTimeoutNow from ${NODE} and starts.*`, (n, peer) => `transfer ${n} taken ${peer}`],
  [`${NODE} forgetting leader ${NODE} at term (\\d+)`, (n, leader, term) => `forgot ${n} ${leader} ${term}`],
  ["ignoring MsgForgetLeader due to ReadOnlyLeaseBased", () => "forget refused"],
  [`${NODE} stepped down to follower since quorum is not active`, (n) => `quorum lost ${n}`],
];

/** Log lines without a fact, and why. */
export const NOT_COMPARED: { pattern: RegExp; reason: string }[] = [
  { pattern: /^\w+ \[logterm: \d+, index: \d+\] sent Msg(Pre)?Vote request to/, reason: "the messages of the Ready show it" },
  { pattern: /^\w+ received MsgAppResp\(rejected, hint: /, reason: "the message stands above it" },
  { pattern: /^\w+ \[firstindex: \d+, commit: \d+\] sent snapshot\[/, reason: "the messages of the Ready show it" },
  { pattern: /^\w+ \[commit: \d+, lastindex: \d+, lastterm: \d+\] restored snapshot/, reason: "said twice: the next line says it again" },
  { pattern: /^log \[.*\] starts to restore snapshot/, reason: "inside of the log" },
  { pattern: /^(replace|truncate) the unstable entries/, reason: "inside of the log; the logs are compared" },
  { pattern: /^entry at (index|\(index,term\))/, reason: "inside of the log; the logs are compared" },
];

const compiled = FACTS.map(([pattern, fact]) => ({ pattern: new RegExp(`^${pattern}$`), fact }));

/** A line of a transcript as it is compared: itself, a fact, or null where it is not compared. Indentation stays. */
export function factOf(line: string): string | null {
  const [, indent, level, text] = /^(\s*)(?:(DEBUG|INFO|WARN|ERROR) )?(.*)$/.exec(line)!;
  for (const { pattern, fact } of compiled) {
    const match = pattern.exec(text!);
    if (match !== null) return `${indent}! ${fact(...match.slice(1))}`;
  }
  if (level === undefined) return line.replaceAll(/EntryConfChange( |(?=\]?$))/g, "EntryConfChangeV2$1").trimEnd();
  if (NOT_COMPARED.some(({ pattern }) => pattern.test(text!))) return null;
  throw new Error(`a log line that this test does not know: ${line}`);
}
