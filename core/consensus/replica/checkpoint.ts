import { Reader } from "../../journal/bytes.ts";
import { corrupt, newerFormat } from "../../journal/errors.ts";
import type { ConfState } from "../raft/types.ts";
import { ByteWriter } from "./bytes.ts";
import { readConf, writeConf } from "./codec.ts";

const VERSION = 1;
const WHAT = "A replica's checkpoint";

/** A state of the group: what `data` holds is all that the entries up to `index` made. What a snapshot is, too. */
export type Checkpoint = { index: number; term: number; conf: ConfState; data: Uint8Array };

export function encodeCheckpoint({ index, term, conf, data }: Checkpoint): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(VERSION);
  writer.varint(index);
  writer.varint(term);
  writeConf(writer, conf);
  const head = writer.done();
  const bytes = new Uint8Array(head.length + data.length);
  bytes.set(head);
  bytes.set(data, head.length);
  return bytes;
}

/** `data` is a view. Throws `corrupt`, or `newer_format`. Whether the bytes are whole is for who keeps them to check. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const reader = new Reader(bytes, WHAT);
  const version = reader.varint();
  if (version > VERSION) throw newerFormat(WHAT, version, VERSION);
  if (version === 0) throw corrupt(`${WHAT} has no version.`);
  return { index: reader.varint(), term: reader.varint(), conf: readConf(reader), data: reader.rest() };
}
