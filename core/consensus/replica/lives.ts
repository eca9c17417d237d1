/**
 * An incarnation is a count of wakes, and a number drawn at random: a replica whose storage was rolled back to just before its
 * last wake counts to the same number again, but is not taken for the life it lost.
 */
const REST = 2 ** 20;

/** The incarnation after `life`; `random` as in ReplicaOptions. */
export function nextLife(life: number, random: (below: number) => number): number {
  return (countOf(life) + 1) * REST + random(REST);
}

/** How many wakes an incarnation counts: what people are shown. */
export function countOf(life: number): number {
  return Math.floor(life / REST);
}

/** `later` began after `earlier`. */
export function isAfter(later: number, earlier: number): boolean {
  return countOf(later) > countOf(earlier);
}

/** So many former lives a replica remembers: it must not outlive what others know of it by more before it meets them. */
const REMEMBERED = 32;

/** Former lives, the earliest first, with the one that ends now. */
export function withLife(lives: readonly number[], life: number): readonly number[] {
  return life === 0 ? lives : [...lives, life].slice(-REMEMBERED);
}

/**
 * Who lives `life` and remembers `lives` before it may have lived `known` too: it is one of these, or older than all. Otherwise it is
 * a life that a rollback undid, whatever the count has grown to since.
 */
export function mayHaveLived(lives: readonly number[], life: number, known: number): boolean {
  return countOf(known) < countOf(lives[0] ?? life) || known === life || lives.includes(known);
}

/** Who knows `known` of a replica must not believe it as `life`: that is over, or a second life that counts the same. */
export function isOver(life: number, known: number): boolean {
  return life !== known && !isAfter(life, known);
}
