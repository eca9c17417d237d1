// How a queue may misbehave within its contract: at-least-once, in no order; and, beyond it, lose messages.

/** The share of messages that a shuffling queue sends back once, which mixes the order across batches. */
const SENT_BACK = 0.3;

/**
 * Delivers a batch the way a faulty queue would.
 *
 * @param batch the batch that the real queue delivered
 * @param faults `{ duplicate: boolean, shuffle: number | null, dropRate: number }`
 * @param random a generator of numbers in [0, 1)
 * @param deliver hands a batch to the consumer
 */
export async function misbehave(batch, faults, random, deliver) {
  let messages = [];
  for (const message of batch.messages) {
    if (random() < faults.dropRate) message.ack();
    else if (faults.shuffle !== null && message.attempts === 1 && random() < SENT_BACK)
      message.retry({ delaySeconds: random() < 0.5 ? 0 : 1 });
    else messages.push(message);
  }
  if (faults.duplicate) messages = messages.flatMap((message) => copies(message));
  if (faults.shuffle !== null) shuffle(messages, random);
  // In two calls, so that a copy may arrive after its original was handled and acknowledged.
  const middle = Math.ceil(messages.length / 2);
  for (const part of [messages.slice(0, middle), messages.slice(middle)]) {
    if (part.length > 0) await deliver(batchOf(batch, part));
  }
}

/** Two deliveries of one message. It is acknowledged when both are; a retry asked for by either wins, as in a real queue. */
function copies(message) {
  let open = 2;
  let retry;
  const settle = (asked) => {
    if (asked !== undefined) retry = asked;
    open -= 1;
    if (open === 0) retry === undefined ? message.ack() : message.retry(retry);
  };
  return [1, 2].map(() => {
    let settled = false;
    const once = (asked) => {
      if (!settled) settle(asked);
      settled = true;
    };
    return {
      id: message.id,
      timestamp: message.timestamp,
      body: message.body,
      attempts: message.attempts,
      ack: () => once(undefined),
      retry: (options) => once(options ?? {}),
    };
  });
}

function batchOf(batch, messages) {
  return {
    queue: batch.queue,
    metadata: batch.metadata,
    messages,
    ackAll() {
      for (const message of messages) message.ack();
    },
    retryAll(options) {
      for (const message of messages) message.retry(options);
    },
  };
}

function shuffle(items, random) {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [items[i], items[j]] = [items[j], items[i]];
  }
}

/** mulberry32, a public-domain 32-bit generator by Tommy Ettinger: enough for a reproducible disorder. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
