/**
 * Doorbells that failed too often. They carry nothing that the log does not have, and the partition's alarm goes on
 * ringing, so they are told to the log and let go.
 */
export function consumeDead(batch: MessageBatch): void {
  for (const message of batch.messages) {
    console.error(
      JSON.stringify({
        level: "error",
        message: "a doorbell died; the partition's alarm takes over",
        id: message.id,
        body: summary(message.body),
      }),
    );
    message.ack();
  }
}

function summary(body: unknown): unknown {
  const { topic, partition, from, to } = (body ?? {}) as Record<string, unknown>;
  return { topic, partition, from, to };
}
