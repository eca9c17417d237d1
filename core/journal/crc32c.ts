/**
 * CRC-32C (Castagnoli), as RFC 3720 section 12.1 and appendix B.4 define it: the reflected polynomial 0x82f63b78, the
 * register preset to ones, the result complemented. Eight bytes a step, by eight tables: table k holds the remainder of
 * a byte followed by k zero bytes, so that the eight look-ups of a step are independent of each other.
 */
const POLYNOMIAL = 0x82f63b78;
const TABLES = makeTables();
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [Table, Table, Table, Table, Table, Table, Table, Table];
type Table = Uint32Array;

/**
 * The checksum of `bytes` as an unsigned 32-bit integer. To go on with more bytes, pass the checksum of those before:
 * `crc32c(b, crc32c(a))` is the checksum of `a` followed by `b`.
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    const low = crc ^ (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
    crc =
      T7[low & 255]! ^
      T6[(low >>> 8) & 255]! ^
      T5[(low >>> 16) & 255]! ^
      T4[low >>> 24]! ^
      T3[bytes[i + 4]!]! ^
      T2[bytes[i + 5]!]! ^
      T1[bytes[i + 6]!]! ^
      T0[bytes[i + 7]!]!;
  }
  for (; i < bytes.length; i++) crc = T0[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function makeTables(): Table[] {
  const tables = [new Uint32Array(256)];
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[0]![byte] = crc;
  }
  for (let k = 1; k < 8; k++) {
    const previous = tables[k - 1]!;
    tables.push(previous.map((crc) => tables[0]![crc & 255]! ^ (crc >>> 8)));
  }
  return tables;
}
