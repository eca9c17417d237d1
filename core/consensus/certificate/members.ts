import { checkId, compareText } from "./bytes.ts";
import { CertificateError, MAX_MEMBERS, PUBLIC_KEY_BYTES, type Statement } from "./types.ts";

export type Member = { id: string; publicKey: Uint8Array };

/**
 * Who votes in a council's epoch. An epoch names one set for ever: a council whose members change goes on in the next epoch.
 *
 * Of `n` members it tolerates `faults` = ⌊(n - 1) / 3⌋ liars. `quorum` is the least number such that two quorums share an
 * honest member, ⌈(n + faults + 1) / 2⌉: 2f + 1 where n = 3f + 1, and more than that where n is not of this form, because
 * there 2f + 1 would be too few.
 */
export class MemberSet {
  readonly council: string;
  readonly epoch: number;
  /** Ascending by the bytes of their ids. */
  readonly members: readonly Member[];
  readonly faults: number;
  readonly quorum: number;
  readonly #keys: ReadonlyMap<string, Uint8Array>;

  /** Throws `badMembers`: no member or too many, an id or a key twice, a key of another length, an impossible name or epoch. */
  constructor(council: string, epoch: number, members: readonly Member[]) {
    if (members.length < 1 || members.length > MAX_MEMBERS) throw bad(`A council has 1 to ${MAX_MEMBERS} members.`);
    if (!Number.isSafeInteger(epoch) || epoch < 0) throw bad('"epoch" is a whole number from 0 to 2^53 - 1.');
    const keys = new Map<string, Uint8Array>();
    const seen = new Set<string>();
    for (const { id, publicKey } of members) {
      if (!(publicKey instanceof Uint8Array) || publicKey.length !== PUBLIC_KEY_BYTES)
        throw bad(`A public key has ${PUBLIC_KEY_BYTES} bytes.`, id);
      if (keys.has(id)) throw bad(`"${id}" is there twice.`, id);
      if (seen.has(publicKey.join())) throw bad(`"${id}" has the key of another member: who holds it would count twice.`, id);
      keys.set(id, publicKey.slice());
      seen.add(publicKey.join());
    }
    try {
      checkId("A council's name", council);
      for (const id of keys.keys()) checkId("A member's id", id);
    } catch (error) {
      throw bad((error as Error).message);
    }
    this.council = council;
    this.epoch = epoch;
    this.members = [...keys].map(([id, publicKey]) => ({ id, publicKey })).sort((a, b) => compareText(a.id, b.id));
    this.faults = Math.floor((members.length - 1) / 3);
    this.quorum = Math.ceil((members.length + this.faults + 1) / 2);
    this.#keys = keys;
  }

  /** Throws `unknownMember`. */
  publicKey(id: string): Uint8Array {
    const key = this.#keys.get(id);
    if (key === undefined) throw new CertificateError("unknownMember", `"${id}" is not in epoch ${this.epoch} of "${this.council}".`, id);
    return key;
  }

  /** Throws `wrongCouncil` or `wrongEpoch` where a statement is not one of this set. */
  checkStatement({ council, epoch }: Statement): void {
    if (council !== this.council)
      throw new CertificateError("wrongCouncil", `It is of "${council}", the members are of "${this.council}".`);
    if (epoch !== this.epoch) throw new CertificateError("wrongEpoch", `It is of epoch ${epoch}, the members are of epoch ${this.epoch}.`);
  }
}

function bad(detail: string, member: string | null = null): CertificateError {
  return new CertificateError("badMembers", detail, member);
}
