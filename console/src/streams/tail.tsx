import { useEffect, useState } from "preact/hooks";
import type { TopicStatus } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { type Connection, report } from "../platform/connections.ts";
import { poll } from "../platform/poll.ts";
import { plural, whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";

type Line = { partition: number; offset: number; text: string };

const EVERY_MS = 1_000;
/** Records shown, and of each partition at the beginning. */
const KEPT = 100;
const BEGIN = 10;
/** More partitions than this are followed one at a time. */
const AT_ONCE = 8;
const LONGEST = 600;

/** What arrives in a topic, the newest first: the last records, then all that come. */
export function Tail({ api, topic }: { api: Api; topic: TopicStatus }) {
  const many = topic.partitions > AT_ONCE;
  const [choice, setChoice] = useState(many ? "0" : "all");
  const [paused, setPaused] = useState(false);
  const [connection, setConnection] = useState<Connection>({ state: "connecting" });
  const [lines, setLines] = useState<readonly Line[]>([]);

  useEffect(() => {
    if (paused) return;
    setLines([]);
    const partitions = choice === "all" ? topic.extents.map(({ partition }) => partition) : [Number(choice)];
    const next = new Map(
      topic.extents.map(({ partition, base, head }) => [partition, Math.max(base, head - (partitions.length > 1 ? BEGIN : KEPT))]),
    );
    const tail = poll(
      async (signal) => {
        const found = await Promise.all(partitions.map((partition) => readFrom(api, topic.name, partition, next, signal)));
        const fresh = found.flat();
        if (fresh.length > 0) setLines((before) => [...fresh.reverse(), ...before].slice(0, KEPT));
      },
      () => EVERY_MS,
      (state) => {
        report("Tail", state);
        setConnection(state);
      },
    );
    return () => {
      tail.stop();
      report("Tail", null);
    };
  }, [topic.name, topic.generation, choice, paused]);

  return (
    <Panel
      title="Tail"
      class="tail"
      problem={"detail" in connection ? connection.detail : null}
      aside={
        <div class="actions">
          <label>
            <span class="visually-hidden">Partition</span>
            <select class="input input-small" value={choice} onChange={(event) => setChoice(event.currentTarget.value)}>
              {!many && <option value="all">all partitions</option>}
              {topic.extents.map(({ partition }) => (
                <option key={partition} value={String(partition)}>
                  partition {partition}
                </option>
              ))}
            </select>
          </label>
          <button type="button" class="button button-small" aria-pressed={paused} onClick={() => setPaused(!paused)}>
            {paused ? "Follow again" : "Pause"}
          </button>
        </div>
      }
    >
      {lines.length === 0 ? (
        <p class="empty-note">{connection.state === "live" ? "Nothing yet. Records appear here as they are appended." : "Loading …"}</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a part that scrolls must be reachable by keyboard.
        <section class="scroll tail-scroll" tabIndex={0} aria-label="Records, newest first">
          <table class="rows" data-testid="tail">
            <thead>
              <tr>
                <th scope="col" class="num">
                  #
                </th>
                <th scope="col" class="num">
                  Offset
                </th>
                <th scope="col">Record</th>
              </tr>
            </thead>
            <tbody>
              {lines.map(({ partition, offset, text }) => (
                <tr key={`${partition}/${offset}`}>
                  <td class="num muted">{partition}</td>
                  <td class="num">{whole(offset)}</td>
                  <td class="wrap record">
                    {text.length > LONGEST ? `${text.slice(0, LONGEST)} … (${plural(text.length, "character")})` : text}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </Panel>
  );
}

/** What a partition has beyond what was read of it, at most what one answer holds; moves `next` on. */
async function readFrom(api: Api, topic: string, partition: number, next: Map<number, number>, signal: AbortSignal): Promise<Line[]> {
  const offset = next.get(partition)!;
  const path = `/v1/stream/${encodeURIComponent(topic)}/${partition}?offset=${String(offset).padStart(16, "0")}`;
  const { body, headers } = await api.read<unknown[]>(path, signal);
  const end = Number(headers.get("Stream-Next-Offset") ?? offset + body.length);
  next.set(partition, end);
  return body.slice(-KEPT).map((record, at, all) => ({ partition, offset: end - all.length + at, text: JSON.stringify(record) }));
}
