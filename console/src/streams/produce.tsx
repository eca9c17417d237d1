import { useId, useState } from "preact/hooks";
import type { TopicStatus } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { plural } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { Problem } from "../ui/problem.tsx";
import { useAction } from "../ui/use-action.ts";

/** A few records written by hand: one JSON value, or an array of them. */
export function Produce({ api, topic }: { api: Api; topic: TopicStatus }) {
  const id = useId();
  const [text, setText] = useState(() => JSON.stringify(exampleFor(topic), null, 2));
  const [done, setDone] = useState<string | null>(null);
  const { busy, problem, run, say } = useAction();

  const submit = (event: Event) => {
    event.preventDefault();
    setDone(null);
    const parsed = parse(text);
    if ("problem" in parsed) return say(parsed.problem);
    void run(async () => {
      await api.send("POST", `/v1/stream/${encodeURIComponent(topic.name)}`, parsed.records);
      setDone(`${plural(parsed.records.length, "record")} appended: durable.`);
    });
  };
  return (
    <Panel title="Produce by hand">
      <form class="form" onSubmit={submit} noValidate>
        <label class="visually-hidden" for={id}>
          Records as JSON
        </label>
        <textarea
          id={id}
          class="input"
          spellcheck={false}
          value={text}
          aria-invalid={problem !== null}
          aria-describedby={`${id}-hint`}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setDone(null);
            say(null);
          }}
        />
        <Problem text={problem} />
        <div class="actions">
          <button type="submit" class="button button-main" disabled={busy}>
            {busy ? "Appending …" : "Append"}
          </button>
          <span class="done" role="status">
            {done}
          </span>
        </div>
        <p id={`${id}-hint`} class="hint">
          One record, or an array of records. Nobody numbers them: after an error, look at the tail before you append again.
        </p>
      </form>
    </Panel>
  );
}

function parse(text: string): { records: unknown[] } | { problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return { problem: `This is not JSON: ${(cause as Error).message}.` };
  }
  const records = Array.isArray(value) ? value : [value];
  return records.length === 0 ? { problem: "The array is empty: there is nothing to append." } : { records };
}

/** A record with what the topic asks for: its key, and its time. */
function exampleFor({ key, timestamp }: TopicStatus): unknown {
  const record: Record<string, unknown> = {};
  const put = (pointer: string | null, value: unknown) => {
    const path = (pointer ?? "")
      .split("/")
      .slice(1)
      .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    let at = record;
    for (const part of path.slice(0, -1)) {
      at[part] ??= {};
      at = at[part] as Record<string, unknown>;
    }
    const last = path.at(-1);
    if (last !== undefined) at[last] = value;
  };
  put(key, "a-key");
  put(timestamp, Date.now());
  if (Object.keys(record).length === 0) record.hello = "world";
  return record;
}
