import { ByteWriter } from "../../../../core/consensus/replica/bytes.ts";
import { LATER } from "../../../../core/consensus/replica/format.fixture.ts";
import { FORMAT, type Format } from "../../../../core/consensus/replica/format.ts";

/**
 * The version of a replica's code: 1 the present one; 2 a later one, with entries and states of its own, whose words the present one
 * can read; 3 one whose words it cannot read at all.
 */
export type CodeVersion = 1 | 2 | 3;

export function formatOf(version: CodeVersion): Format {
  return version === 1 ? FORMAT : LATER;
}

/** A section that this code does not know, as a later version would add, and a Raft message of an unknown type. */
const UNKNOWN_SECTION = 63;
const MESSAGE_SECTION = 3;
const UNKNOWN_TYPE = 200;

/**
 * An envelope as replicas of other versions send it, with parts that the present code does not know. A copy: the sender may write
 * its next one into the same buffer.
 */
export function dress(bytes: Uint8Array, version: CodeVersion): Uint8Array {
  if (version === 1) return bytes.slice();
  const writer = new ByteWriter();
  writer.raw(bytes);
  writer.varint(UNKNOWN_SECTION);
  writer.block(Uint8Array.of(1, 2, 3));
  writer.varint(MESSAGE_SECTION);
  writer.block(Uint8Array.of(UNKNOWN_TYPE, 0, 0));
  const dressed = writer.done().slice();
  dressed[0] = version;
  if (version === 3) dressed[1] = 3;
  return dressed;
}
