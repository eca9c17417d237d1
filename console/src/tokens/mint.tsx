import { useId, useState } from "preact/hooks";
import type { Grant, Right } from "../../../core/wire/grant.ts";
import type { Minted } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { Field } from "../ui/field.tsx";
import { Cross } from "../ui/icons.tsx";
import { Panel } from "../ui/panel.tsx";
import { Problem } from "../ui/problem.tsx";
import { useAction } from "../ui/use-action.ts";

const CAPABILITIES: { value: Grant["capability"]; label: string }[] = [
  { value: "rooms", label: "rooms" },
  { value: "streams", label: "streams" },
  { value: "models", label: "models" },
  { value: "groups", label: "groups" },
  { value: "data", label: "data" },
  { value: "platform", label: "platform" },
  { value: "*", label: "everything" },
];
/** Each implies those before it. */
const RIGHTS: { value: Right; says: string }[] = [
  { value: "read", says: "read" },
  { value: "write", says: "read and write" },
  { value: "admin", says: "read, write and manage" },
];
const LIVES = [
  { seconds: 900, says: "15 minutes" },
  { seconds: 3600, says: "an hour" },
  { seconds: 86_400, says: "a day" },
  { seconds: 7 * 86_400, says: "a week" },
  { seconds: 30 * 86_400, says: "30 days" },
];

type Row = { id: number; capability: Grant["capability"]; name: string; right: Right };

/** A form that makes a token, grant by grant. The server checks it and says what is wrong. */
export function Mint({ api, onMinted }: { api: Api; onMinted: (minted: Minted) => void }) {
  const [rows, setRows] = useState<readonly Row[]>([{ id: 0, capability: "rooms", name: "*", right: "write" }]);
  const [next, setNext] = useState(1);
  const { busy, problem, run } = useAction();
  const change = (id: number, part: Partial<Row>) => setRows(rows.map((row) => (row.id === id ? { ...row, ...part } : row)));

  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const subject = String(form.get("subject") ?? "").trim();
    const grants = rows.map(({ capability, name, right }): Grant => ({ capability, name: name.trim(), rights: [right] }));
    void run(async () => {
      onMinted(
        await api.send<Minted>("POST", "/v1/tokens", {
          grants,
          expiresIn: Number(form.get("expiresIn")),
          ...(subject !== "" && { subject }),
        }),
      );
    });
  };

  return (
    <Panel title="Mint a token">
      <form class="form" onSubmit={submit} noValidate aria-label="Mint a token">
        <fieldset class="form">
          <legend class="legend-text">It may</legend>
          {rows.map((row, index) => (
            <GrantRow
              key={row.id}
              row={row}
              number={index + 1}
              onChange={(part) => change(row.id, part)}
              onRemove={rows.length === 1 ? null : () => setRows(rows.filter(({ id }) => id !== row.id))}
            />
          ))}
        </fieldset>
        <p>
          <button
            type="button"
            class="button button-small"
            onClick={() => {
              setRows([...rows, { id: next, capability: "streams", name: "*", right: "read" }]);
              setNext(next + 1);
            }}
          >
            Add a grant
          </button>
        </p>
        <div class="fields">
          <Field label="For" hint="a name, for the logs">
            {(id) => <input id={id} class="input" name="subject" maxLength={128} autocomplete="off" spellcheck={false} />}
          </Field>
          <Field label="It lasts">
            {(id) => (
              <select id={id} class="input" name="expiresIn" defaultValue="3600">
                {LIVES.map(({ seconds, says }) => (
                  <option key={seconds} value={seconds} selected={seconds === 3600}>
                    {says}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <button type="submit" class="button button-main" disabled={busy}>
            Mint the token
          </button>
        </div>
        <Problem text={problem} />
        <p class="hint">
          In a name, <code>*</code> stands for any run of characters: <code>team-*</code>. What is not granted is refused.
        </p>
      </form>
    </Panel>
  );
}

type GrantRowProps = { row: Row; number: number; onChange: (part: Partial<Row>) => void; onRemove: (() => void) | null };

function GrantRow({ row, number, onChange, onRemove }: GrantRowProps) {
  const id = useId();
  return (
    <div class="grant">
      <label class="visually-hidden" for={`${id}-right`}>
        Rights of grant {number}
      </label>
      <select
        id={`${id}-right`}
        class="input"
        value={row.right}
        onChange={(event) => onChange({ right: event.currentTarget.value as Right })}
      >
        {RIGHTS.map(({ value, says }) => (
          <option key={value} value={value}>
            {says}
          </option>
        ))}
      </select>
      <label class="visually-hidden" for={`${id}-capability`}>
        Capability of grant {number}
      </label>
      <select
        id={`${id}-capability`}
        class="input"
        value={row.capability}
        onChange={(event) => onChange({ capability: event.currentTarget.value as Grant["capability"] })}
      >
        {CAPABILITIES.map(({ value, label }) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
      <label class="visually-hidden" for={`${id}-name`}>
        Names of grant {number}
      </label>
      <input
        id={`${id}-name`}
        class="input"
        value={row.name}
        maxLength={256}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => onChange({ name: event.currentTarget.value })}
      />
      <button
        type="button"
        class="icon-button"
        disabled={onRemove === null}
        aria-label={`Remove grant ${number}`}
        onClick={() => onRemove?.()}
      >
        <Cross />
      </button>
    </div>
  );
}
