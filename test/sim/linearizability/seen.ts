/**
 * The configurations a search has been in: the set of linearized operations, as bits, and the state. Compared exactly; the
 * hash, kept up with each operation that comes and goes, only finds candidates.
 */
export class SeenConfigurations {
  readonly #bits: Int32Array;
  readonly #marks: Int32Array;
  readonly #known = new Map<string | number, Map<number, Int32Array[]>>();
  #hash = 0;

  constructor(operations: number) {
    this.#bits = new Int32Array((operations + 31) >> 5);
    this.#marks = Int32Array.from({ length: operations }, (_, i) => mix(i + 1));
  }

  /** Linearizes `op` with the state `key` after it; false, and nothing happens, if that was seen before. */
  add(op: number, key: string | number): boolean {
    this.#flip(op);
    const byHash = this.#known.get(key) ?? new Map<number, Int32Array[]>();
    if (byHash.size === 0) this.#known.set(key, byHash);
    const candidates = byHash.get(this.#hash);
    if (candidates?.some((bits) => equal(bits, this.#bits))) {
      this.#flip(op);
      return false;
    }
    const copy = this.#bits.slice();
    if (candidates === undefined) byHash.set(this.#hash, [copy]);
    else candidates.push(copy);
    return true;
  }

  /** Takes `op` back out of the linearized set. */
  leave(op: number): void {
    this.#flip(op);
  }

  #flip(op: number): void {
    this.#bits[op >> 5] = (this.#bits[op >> 5] as number) ^ (1 << (op & 31));
    this.#hash ^= this.#marks[op] as number;
  }
}

function equal(a: Int32Array, b: Int32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The finalizer of MurmurHash3, 32 bits: one operation, one mark. */
function mix(n: number): number {
  let h = Math.imul(n, 0x9e3779b9);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
