/** Who answered, for the header of an answer: 64-bit ids, unsigned. `revision` 0 is left out, as every zero is. */
export type HeaderFacts = { cluster: bigint; member: bigint; revision: number; term: number };

/**
 * The header as the gateway prints it: integers of 64 bits as strings, zero ones left out.
 * @example {"cluster_id":"1","member_id":"2","revision":"3","raft_term":"4"}
 */
export function writeHeader({ cluster, member, revision, term }: HeaderFacts): string {
  let json = "";
  if (cluster !== 0n) json += `,"cluster_id":"${cluster}"`;
  if (member !== 0n) json += `,"member_id":"${member}"`;
  if (revision !== 0) json += `,"revision":"${revision}"`;
  if (term !== 0) json += `,"raft_term":"${term}"`;
  return `{${json.slice(1)}}`;
}

/** FNV-1a, 64 bits, over UTF-8: the ids of clusters and members, which etcd makes of hashes too. */
export function idOf(name: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(name)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash;
}
