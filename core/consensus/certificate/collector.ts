import type { MemberSet } from "./members.ts";
import { type Certificate, CertificateError, type Equivocation, type VerifySignature, type Vote } from "./types.ts";
import { assembleCertificate, equivocationOf, verifyVote } from "./verify.ts";

/** Places (rounds times kinds) at one height for which votes of one member are kept. */
export const MAX_PLACES = 64;

export type Collected =
  /** It counts; `have` of `need` members voted so. */
  | { outcome: "counted"; have: number; need: number }
  /** It counts, and there is a quorum: also for each further vote, with its signature too. */
  | { outcome: "certificate"; certificate: Certificate }
  /** The member voted otherwise before. Its first vote goes on counting. */
  | { outcome: "equivocation"; proof: Equivocation }
  /** This vote is known already. */
  | { outcome: "known" };

type Place = { byMember: Map<string, Vote>; byValue: Map<string, Vote[]> };

/**
 * Gathers the votes of one council at one height, from whoever brings them, until there is a certificate or a proof that a
 * member lies. Nothing of it needs to be trusted: what it gives, anyone verifies again.
 */
export class VoteCollector {
  readonly members: MemberSet;
  readonly height: number;
  readonly #verify: VerifySignature;
  readonly #places = new Map<string, Place>();
  readonly #placesOf = new Map<string, number>();

  constructor(members: MemberSet, height: number, verify: VerifySignature) {
    this.members = members;
    this.height = height;
    this.#verify = verify;
  }

  /**
   * Takes a vote. Throws {@link CertificateError} as `verifyVote` does, `otherStatement` where it is of another height,
   * and `tooMany` where its member voted at {@link MAX_PLACES} others: a liar's votes must not fill the memory.
   */
  async add(vote: Vote): Promise<Collected> {
    const { statement, member } = vote;
    if (statement.height !== this.height)
      throw new CertificateError("otherStatement", `"height" is ${statement.height}, not ${this.height}.`);
    await verifyVote(vote, this.members, this.#verify);
    // From here on there is no await: two votes that were verified at the same time are taken one after the other.
    const key = `${statement.round} ${statement.kind}`;
    const place = this.#places.get(key) ?? { byMember: new Map<string, Vote>(), byValue: new Map<string, Vote[]>() };
    const earlier = place.byMember.get(member);
    if (earlier !== undefined) {
      const proof = equivocationOf(earlier, vote);
      return proof === null ? { outcome: "known" } : { outcome: "equivocation", proof };
    }
    const places = this.#placesOf.get(member) ?? 0;
    if (places >= MAX_PLACES) throw new CertificateError("tooMany", `${MAX_PLACES} of "${member}" are kept.`, member);
    this.#placesOf.set(member, places + 1);
    this.#places.set(key, place);
    place.byMember.set(member, vote);
    const value = statement.value.join();
    const votes = [...(place.byValue.get(value) ?? []), vote];
    place.byValue.set(value, votes);
    if (votes.length < this.members.quorum) return { outcome: "counted", have: votes.length, need: this.members.quorum };
    return { outcome: "certificate", certificate: assembleCertificate(votes, this.members) };
  }
}
