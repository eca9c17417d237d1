/**
 * Where our core does something else than a transcript shows, by file and line of the directive. The test asserts that these
 * and no others differ, and that our output is what stands here.
 */
export type Difference = { at: string; reason: string; ours: string };

const LEASES = "there are no lease-based reads in Skerry, so that a follower may always forget its leader";

export const DIFFERENCES: Difference[] = [
  { at: "forget_leader_read_only_lease_based.txt:22", reason: LEASES, ours: "! forgot 2 1 1" },
  {
    at: "forget_leader_read_only_lease_based.txt:26",
    reason: LEASES,
    ours: ["1: StateLeader (Voter) Term:1 Lead:1", "2: StateFollower (Voter) Term:1 Lead:0", "3: StateFollower (Voter) Term:1 Lead:1"].join(
      "\n",
    ),
  },
];
