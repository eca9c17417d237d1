import type { Group } from "@skerry/client/groups";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Field } from "../ui/field.tsx";
import { whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { Problem } from "../ui/problem.tsx";
import { useAction } from "../ui/use-action.ts";

/** A key as it was when it was taken up to be changed; `lease` in digits. */
export type Editing = { key: string; value: string; revision: number; lease: string | null };

type PutKeyProps = { group: Group; editing: Editing | null; onEnd: () => void; onChange: () => void };

/** Writes a key; one that is edited, only if nobody else has written it meanwhile. */
export function PutKey({ group, editing, onEnd, onChange }: PutKeyProps) {
  const id = useId();
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const [ttl, setTtl] = useState("");
  const [done, setDone] = useState<string | null>(null);
  const text = useRef<HTMLTextAreaElement>(null);
  const { busy, problem, run, say } = useAction();
  useEffect(() => {
    if (editing === null) return;
    setKey(editing.key);
    setValue(editing.value);
    setTtl("");
    setDone(null);
    say(null);
    text.current!.focus();
  }, [editing]);

  const submit = (event: Event) => {
    event.preventDefault();
    setDone(null);
    if (key === "") return say("A key has at least one byte.");
    const seconds = ttl === "" ? null : Number(ttl);
    if (seconds !== null && (!Number.isInteger(seconds) || seconds < 1))
      return say("A lease lives for a whole number of seconds, 1 or more.");
    void run(async () => {
      const lease = seconds === null ? (editing?.lease ?? null) : await group.lease(seconds, { keepAlive: false });
      const guard = editing === null ? {} : { ifRevision: editing.revision };
      const { revision, level } = await group.put(key, value, { lease, ...guard });
      setDone(`Written at revision ${whole(revision)}: ${level}.`);
      onEnd();
      onChange();
    });
  };
  return (
    <Panel title={editing === null ? "Put a key" : "Change a key"}>
      <form class="form" onSubmit={submit} noValidate>
        <Field label="Key">
          {(field) => (
            <input
              id={field}
              class="input"
              value={key}
              readOnly={editing !== null}
              spellcheck={false}
              autocomplete="off"
              onInput={(event) => setKey(event.currentTarget.value)}
            />
          )}
        </Field>
        <div class="field">
          <label for={id}>Value</label>
          <textarea
            ref={text}
            id={id}
            class="input input-value"
            spellcheck={false}
            value={value}
            onInput={(event) => setValue(event.currentTarget.value)}
          />
        </div>
        <Field label="Lease" hint="seconds, after which the key ends; empty: it stays">
          {(field) => (
            <input id={field} class="input" inputMode="numeric" value={ttl} onInput={(event) => setTtl(event.currentTarget.value)} />
          )}
        </Field>
        {editing !== null && (
          <p class="hint">
            It is written only if its last write is still that of revision {whole(editing.revision)}.
            {editing.lease !== null && ttl === "" && " It keeps its lease."}
          </p>
        )}
        <Problem text={problem} />
        <div class="actions">
          <button type="submit" class="button button-main" disabled={busy}>
            {busy ? "Writing …" : editing === null ? "Put" : "Change it"}
          </button>
          {editing !== null && (
            <button type="button" class="button" onClick={onEnd}>
              Leave it
            </button>
          )}
          <span class="done" role="status">
            {done}
          </span>
        </div>
      </form>
    </Panel>
  );
}
