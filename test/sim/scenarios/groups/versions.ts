import { ByteWriter } from "../../../../core/consensus/replica/bytes.ts";

/** A section that this code does not know, as a later version would add, and a Raft message of an unknown type. */
const UNKNOWN_SECTION = 63;
const MESSAGE_SECTION = 3;
const UNKNOWN_TYPE = 200;

/**
 * An envelope as replicas of other versions send it: 2 is a later one that this code can read, with parts that it does not
 * know; 3 one that it cannot. 1 is sent as it is.
 * A copy: the sender may write its next one into the same buffer.
 */
export function dress(bytes: Uint8Array, version: number): Uint8Array {
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
