import { useEffect, useState } from "preact/hooks";
import type { PageProps } from "../page.ts";
import type { TablePage, TableRow } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { type Connection, report } from "../platform/connections.ts";
import { poll } from "../platform/poll.ts";
import { hrefOf } from "../router.ts";
import { Field } from "../ui/field.tsx";
import { oneDigit, plural, whole } from "../ui/format.ts";
import { PageTitle } from "../ui/page-title.tsx";
import { Panel } from "../ui/panel.tsx";
import { Problem } from "../ui/problem.tsx";
import { ScrollX } from "../ui/scroll.tsx";
import { spanOf } from "./span.ts";

const LIMIT = 50;
/** How often rows are read again, in ms: a few pages of them soon, more of them seldom. */
const EVERY_MS = 5_000;
const SLOW_MS = 60_000;
const FEW_PAGES = 2;
const FIELDS = ["key", "keyFrom", "keyTo", "from", "to", "final"] as const;
type Query = Partial<Record<(typeof FIELDS)[number], string>>;
type Asked = { query: Query; pages: number };
type Found = { rows: TableRow[]; more: boolean };

/** One table, asked by key, range of keys, time and whether windows are final; asked again while the page is open. */
export function TableView({ api, name }: PageProps & { name: string }) {
  const [asked, setAsked] = useState<Asked>({ query: {}, pages: 1 });
  const [found, setFound] = useState<(Found & { asked: Asked }) | null>(null);
  const [connection, setConnection] = useState<Connection>({ state: "connecting" });

  useEffect(() => {
    const asking = poll(
      async (signal) => setFound({ ...(await pagesOf(api, name, asked, signal)), asked }),
      () => (asked.pages <= FEW_PAGES ? EVERY_MS : SLOW_MS),
      (state) => {
        report("Table", state);
        setConnection(state);
      },
    );
    return () => {
      asking.stop();
      report("Table", null);
    };
  }, [api, name, asked]);
  const problem = "detail" in connection ? connection.detail : null;
  const busy = problem === null && found?.asked !== asked;
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const given = FIELDS.map((field) => [field, String(form.get(field) ?? "").trim()] as const).filter(([, text]) => text !== "");
    setAsked({ query: Object.fromEntries(given), pages: 1 });
  };
  const text = (label: string, field: (typeof FIELDS)[number], hint?: string, placeholder?: string) => (
    <Field label={label} {...(hint !== undefined && { hint })}>
      {(id) => <input id={id} class="input" name={field} placeholder={placeholder} autocomplete="off" spellcheck={false} />}
    </Field>
  );

  return (
    <div class="page">
      <PageTitle title={name} up={{ href: hrefOf("streams"), title: "Streams" }}>
        <p class="muted">Table, in the order of its windows</p>
      </PageTitle>
      <Panel title="Ask">
        <form class="form" onSubmit={submit} noValidate>
          <div class="fields">
            {text("Key", "key")}
            {text("Keys from", "keyFrom", "inclusive")}
            {text("Keys to", "keyTo", "exclusive")}
            {text("Windows from", "from", "time", "2001-01-01T06:00:00Z")}
            {text("Windows to", "to", "time", "2001-01-02T00:00:00Z")}
            <Field label="Windows">
              {(id) => (
                <select id={id} class="input" name="final">
                  <option value="">final and open</option>
                  <option value="true">final</option>
                  <option value="false">open</option>
                </select>
              )}
            </Field>
            <button type="submit" class="button button-main" disabled={busy}>
              Ask
            </button>
          </div>
          <Problem text={problem} />
        </form>
      </Panel>
      <Panel
        title="Rows"
        aside={
          found !== null && (
            <span class="panel-note" role="status">{`${plural(found.rows.length, "row")}${found.more ? ", and there are more" : ""}`}</span>
          )
        }
      >
        {found === null ? (
          problem === null && <p class="empty-note">Loading …</p>
        ) : found.rows.length === 0 ? (
          <p class="empty-note">No row answers that.</p>
        ) : (
          <Rows rows={found.rows} />
        )}
        {found?.more && (
          <p class="actions actions-below">
            <button
              type="button"
              class="button button-small"
              disabled={busy}
              onClick={() => setAsked({ ...asked, pages: asked.pages + 1 })}
            >
              {busy ? "One moment …" : `${LIMIT} more`}
            </button>
          </p>
        )}
      </Panel>
    </div>
  );
}

/** As many pages of rows as were asked for, one after the other. */
async function pagesOf(api: Api, table: string, { query, pages }: Asked, signal: AbortSignal): Promise<Found> {
  const rows: TableRow[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < pages; page++) {
    const parameters: URLSearchParams = new URLSearchParams({ ...query, limit: String(LIMIT), ...(cursor !== null && { cursor }) });
    const found: TablePage = await api.get(`/v1/tables/${encodeURIComponent(table)}?${parameters}`, signal);
    rows.push(...found.rows);
    cursor = found.cursor;
    if (cursor === null) break;
  }
  return { rows, more: cursor !== null };
}

function Rows({ rows }: { rows: readonly TableRow[] }) {
  const fields = [...new Set(rows.flatMap(({ value }) => Object.keys(value)))];
  const isNumber = (field: string) => rows.every(({ value }) => value[field] == null || typeof value[field] === "number");
  return (
    <ScrollX label="Rows of the table">
      <table class="rows" data-testid="table-rows">
        <thead>
          <tr>
            <th scope="col">Window (UTC)</th>
            <th scope="col">Key</th>
            {fields.map((field) => (
              <th key={field} scope="col" class={isNumber(field) ? "num" : ""}>
                {field}
              </th>
            ))}
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, window, value, final }) => (
            <tr key={`${window.start}/${key}`}>
              <td class="muted">{spanOf(window)}</td>
              <th scope="row" class="name name-short">
                {key}
              </th>
              {fields.map((field) => (
                <td key={field} class={isNumber(field) ? "num" : "wrap record"}>
                  {said(value[field])}
                </td>
              ))}
              <td class={final ? "" : "busy"}>{final ? "final" : "open"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollX>
  );
}

function said(value: unknown): string {
  if (value == null) return "–";
  if (typeof value === "number") return Number.isInteger(value) ? whole(value) : Math.abs(value) < 1 ? value.toFixed(3) : oneDigit(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
