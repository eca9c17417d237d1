// The editing session that `npm run bench -- rooms` replays: [position, deleted, inserted] of each edit of one text.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** The edits of a trace in the format of josephg/editing-traces (`{ txns: [{ patches }] }`), gzipped or not. */
export function recorded(file) {
  const bytes = readFileSync(file);
  const text = (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString();
  return JSON.parse(text).txns.map(({ patches }) => patches);
}

/**
 * The edits of a made-up author who types character by character: words, mostly where they stopped, at times elsewhere;
 * three in ten edits take back what was typed, as in the recorded paper. The same seed gives the same session.
 */
export function generated(count, seed = 1) {
  let state = seed;
  // mulberry32, a public-domain 32-bit generator by Tommy Ettinger.
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const letter = () => "etaoinshrdlucmfwypvbgkjqxz"[Math.floor(26 * random() ** 2)];
  const edits = [];
  let [cursor, length] = [0, 0];
  while (edits.length < count) {
    // Most bursts go on where the last one ended; one in ten goes back into what is there.
    if (random() < 0.1) cursor = Math.floor(random() * (length + 1));
    const takesBack = random() < 0.3 && cursor > 12;
    for (let left = 3 + Math.floor(random() * 20); left > 0 && edits.length < count; left--) {
      if (takesBack && cursor > 0) {
        edits.push([[--cursor, 1, ""]]);
        length--;
      } else {
        edits.push([[cursor++, 0, random() < 0.17 ? " " : letter()]]);
        length++;
      }
    }
  }
  return edits;
}
