import type { Entry, Group } from "@skerry/client/groups";
import { useEffect, useState } from "preact/hooks";
import { SYSTEM_GROUP } from "../../../core/wire/names.ts";
import type { Api } from "../platform/api.ts";
import { Confirm } from "../ui/confirm.tsx";
import { Field } from "../ui/field.tsx";
import { plural, whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { ScrollX } from "../ui/scroll.tsx";
import type { KeyPage } from "./key-page.ts";
import { type Editing, PutKey } from "./put-key.tsx";
import { useKeys } from "./use-keys.ts";

type KeysProps = {
  api: Api;
  group: Group;
  term: number;
  generation: number;
  /** As the replicas said when they were last looked at. */
  revision: number;
  mayWrite: boolean;
  /** Hears of every change that was made here. */
  onChange: () => void;
  /** Hears that the group was found further than it was looked at. */
  onAhead: () => void;
};

/** Characters of a value that are shown. */
const LONGEST = 400;

/** What is in the group, by prefix and page by page, as it is now. */
export function Keys({ api, group, term, generation, revision, mayWrite, onChange, onAhead }: KeysProps) {
  const [prefix, setPrefix] = useState("");
  const [starts, setStarts] = useState<readonly Uint8Array[]>([]);
  const { page, problem } = useKeys(api, group, prefix, starts.at(-1) ?? null, `${generation}/${term}`);
  const [editing, setEditing] = useState<Editing | null>(null);
  const [deleting, setDeleting] = useState<Entry | null>(null);
  const last = page?.entries.at(-1);
  // Replicas that were asleep say what they had applied before: the first read brings them further, and the figures above are to agree.
  const ahead = page !== null && page.readAt > revision;
  useEffect(() => {
    if (ahead) onAhead();
  }, [ahead]);
  return (
    <div class={mayWrite ? "columns columns-keys" : "stack"}>
      <Panel
        title="Keys"
        problem={problem}
        aside={
          page !== null && (
            <span class="panel-note">
              {plural(page.count, "key")}, as of revision {whole(page.revision)}, live
            </span>
          )
        }
      >
        <form class="fields keys-prefix" onSubmit={(event) => event.preventDefault()}>
          <Field label="Keys that begin with" hint="empty: all of them">
            {(id) => (
              <input
                id={id}
                class="input"
                value={prefix}
                spellcheck={false}
                autocomplete="off"
                onInput={(event) => {
                  setPrefix(event.currentTarget.value);
                  setStarts([]);
                }}
              />
            )}
          </Field>
        </form>
        {page === null ? (
          problem === null && <p class="empty-note">Loading …</p>
        ) : page.entries.length === 0 ? (
          <p class="empty-note">{prefix === "" ? "The group is empty." : "No key begins so."}</p>
        ) : (
          <Listed page={page} mayWrite={mayWrite} onEdit={setEditing} onDelete={setDeleting} />
        )}
        {(starts.length > 0 || page?.more) && (
          <p class="actions actions-below">
            <button type="button" class="button button-small" disabled={starts.length === 0} onClick={() => setStarts(starts.slice(0, -1))}>
              Back
            </button>
            <button
              type="button"
              class="button button-small"
              disabled={!page?.more || last === undefined}
              onClick={() => setStarts([...starts, last!.keyBytes])}
            >
              Next
            </button>
          </p>
        )}
        <p class="hint">
          Read once from the leader, then told by one socket: a watcher that nothing happens to costs nothing.
          {!mayWrite && group.name !== SYSTEM_GROUP && " Your token may read this group, not write to it."}
        </p>
      </Panel>
      {mayWrite && <PutKey group={group} editing={editing} onEnd={() => setEditing(null)} onChange={onChange} />}
      {deleting !== null && (
        <Confirm
          title={`Delete the key “${deleting.key}”?`}
          action="Delete the key"
          run={() => group.delete(deleting.keyBytes)}
          onEnd={() => {
            setDeleting(null);
            onChange();
          }}
        >
          <p>
            What it is at revision {whole(deleting.modRevision)} can be read by that revision until the group is compacted, and not after
            that.
          </p>
        </Confirm>
      )}
    </div>
  );
}

type ListedProps = { page: KeyPage; mayWrite: boolean; onEdit: (editing: Editing) => void; onDelete: (entry: Entry) => void };

function Listed({ page, mayWrite, onEdit, onDelete }: ListedProps) {
  return (
    <ScrollX label="Keys, a row each">
      <table class="rows keys" data-testid="keys">
        <thead>
          <tr>
            <th scope="col">Key</th>
            <th scope="col">Value</th>
            <th scope="col" class="num">
              Written at
            </th>
            <th scope="col" class="num">
              Made at
            </th>
            <th scope="col" class="num">
              Version
            </th>
            <th scope="col">Lease</th>
            {mayWrite && (
              <th scope="col">
                <span class="visually-hidden">What to do</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {page.entries.map((entry) => (
            <tr key={[...entry.keyBytes].join()}>
              <th scope="row" class="wrap">
                <code>{entry.key}</code>
              </th>
              {/* Another revision is another cell, which is seen to be new. */}
              <td key={entry.modRevision} class={entry.modRevision > page.readAt ? "wrap record key-news" : "wrap record"}>
                {shorten(entry.text)}
              </td>
              <td class="num">{whole(entry.modRevision)}</td>
              <td class="num">{whole(entry.createRevision)}</td>
              <td class="num">{whole(entry.version)}</td>
              <td>{entry.lease === null ? <span class="muted">none</span> : <code>{BigInt(entry.lease).toString(16)}</code>}</td>
              {mayWrite && (
                <td>
                  <span class="actions row-actions">
                    <button
                      type="button"
                      class="button button-small"
                      aria-label={`Edit ${entry.key}`}
                      onClick={() => onEdit({ key: entry.key, value: entry.text, revision: entry.modRevision, lease: entry.lease })}
                    >
                      Edit
                    </button>
                    <button type="button" class="button button-small" aria-label={`Delete ${entry.key}`} onClick={() => onDelete(entry)}>
                      Delete
                    </button>
                  </span>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollX>
  );
}

function shorten(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)} … (${plural(text.length, "character")})` : text;
}
