import type { AppendOutcome, Producer } from "../../core/streams/log.ts";
import type { SubBatch } from "../../core/streams/records.ts";
import type { Answer } from "../../core/wire/answer.ts";
import type { TopicMeta } from "../../core/wire/directory.ts";
import type { Scope } from "../../core/wire/names.ts";
import { partitionName } from "../streams.ts";

/**
 * Appends each partition its share. With a producer every partition gets its number, also those whose share is empty,
 * so that each can tell a retry from a gap; without one the empty shares are not sent. Resolves when all have it;
 * rejects with the first error, after all have answered, and a retry with the same number completes what is missing.
 */
export async function appendAll(
  env: Env,
  scope: Scope,
  topic: TopicMeta,
  shares: SubBatch[],
  producer: Producer | null,
  traceparent: string | null,
): Promise<Answer<AppendOutcome>[]> {
  const sent = shares.map(async (share, partition) => {
    if (producer === null && share.count === 0) return null;
    const stub = env.TOPIC.getByName(partitionName(scope, topic.name, topic.generation, partition));
    return (await stub.append(share, producer, traceparent)) as Answer<AppendOutcome>;
  });
  const settled = await Promise.allSettled(sent);
  const failed = settled.find((each) => each.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return settled.flatMap((each) => (each.status === "fulfilled" && each.value !== null ? [each.value] : []));
}
