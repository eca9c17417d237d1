/**
 * One thing done to both sides. A body may name what a server chose by the step that it chose it in: `"@7"` is the lease that step
 * 7 was granted, `"@key:7"` the key of the lock that it got.
 */
export type Step =
  /** A request that is answered at once; the answers are compared. */
  | { do: "call"; path: string; body: string }
  /** A request whose answer comes over time; see {@link Settle}. */
  | { do: "open"; stream: string; path: string; body: string }
  /** Waits until both sides have said the same on a stream, and compares. */
  | Settle
  | { do: "close"; stream: string }
  /** Lets etcd's loop reach the watches that begin in the past, which it runs every 100 ms. */
  | { do: "pause" }
  /** Asks each side until its answer has this text: for what happens by itself, such as a waiter's key. */
  | { do: "until"; path: string; body: string; has: string };
type Settle = { do: "settle"; stream: string };

/** A step, or one that depends on the revision of the last answer. */
export type Planned = Step | ((revision: number) => Step);

export type Numbered = { index: number; step: Step };

/** The step as a line to read, and to send by hand. */
export function told({ index, step }: Numbered): string {
  switch (step.do) {
    case "call":
      return `${index}  POST /v3/${step.path} ${short(step.body)}`;
    case "open":
      return `${index}  POST /v3/${step.path} ${short(step.body)}   (stream ${step.stream}, left open)`;
    case "until":
      return `${index}  POST /v3/${step.path} ${short(step.body)}   (until it has ${step.has})`;
    case "pause":
      return `${index}  pause`;
    default:
      return `${index}  ${step.do} stream ${step.stream}`;
  }
}

function short(text: string): string {
  return text.length <= 600 ? text : `${text.slice(0, 400)}…(${text.length} bytes)`;
}
