import { useState } from "preact/hooks";
import type { PageProps } from "../page.ts";
import type { Paged, TableListed, Topic, Topology } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { mayAnywhere } from "../platform/may.ts";
import { usePolled } from "../platform/polled.ts";
import { go, hrefOf } from "../router.ts";
import { Field } from "../ui/field.tsx";
import { moment } from "../ui/format.ts";
import { PageTitle } from "../ui/page-title.tsx";
import { Panel } from "../ui/panel.tsx";
import { Problem } from "../ui/problem.tsx";
import { ScrollX } from "../ui/scroll.tsx";
import { useAction } from "../ui/use-action.ts";

const EVERY_MS = 5_000;
const PAGE = 100;

/** What there is: topics, and the topologies and tables of this deployment. */
export function Streams({ api, session }: PageProps) {
  return (
    <div class="page">
      <PageTitle title="Streams">
        <p class="muted">Records go to topics; topologies make tables and other topics of them.</p>
      </PageTitle>
      <Topics api={api} mayCreate={mayAnywhere(session, "streams", "admin")} />
      <div class="columns">
        <Topologies api={api} />
        <Tables api={api} />
      </div>
    </div>
  );
}

function Topics({ api, mayCreate }: { api: Api; mayCreate: boolean }) {
  const [shown, setShown] = useState(PAGE);
  const { value, problem } = usePolled("Topics", (signal) => allTopics(api, shown, signal), EVERY_MS, `${shown} topics`);
  return (
    <Panel title="Topics" problem={problem}>
      {value === null ? (
        problem === null && <p class="empty-note">Loading …</p>
      ) : value.topics.length === 0 ? (
        <p class="empty-note">No topic yet.{mayCreate && " Create one below."}</p>
      ) : (
        <ScrollX label="Topics, a row each">
          <table class="rows" data-testid="topics">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col" class="num">
                  Partitions
                </th>
                <th scope="col">Key</th>
                <th scope="col">Event time</th>
                <th scope="col">Created</th>
              </tr>
            </thead>
            <tbody>
              {value.topics.map((topic) => (
                <tr key={topic.name}>
                  <th scope="row" class="name">
                    <a class="row-link" href={hrefOf("streams", "topics", topic.name)}>
                      {topic.name}
                    </a>
                  </th>
                  <td class="num">{topic.partitions}</td>
                  <td>{topic.key === null ? <span class="muted">none</span> : <code>{topic.key}</code>}</td>
                  <td>{topic.timestamp === null ? <span class="muted">of the append</span> : <code>{topic.timestamp}</code>}</td>
                  <td class="muted">{moment(topic.createdAt)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </ScrollX>
      )}
      {value?.more && (
        <p class="actions">
          <button type="button" class="button button-small" onClick={() => setShown(shown + PAGE)}>
            More topics
          </button>
        </p>
      )}
      {mayCreate && <Create api={api} />}
    </Panel>
  );
}

async function allTopics(api: Api, count: number, signal: AbortSignal): Promise<{ topics: Topic[]; more: boolean }> {
  const topics: Topic[] = [];
  for (let after: string | null = ""; after !== null && topics.length < count; ) {
    const query: string = after === "" ? "" : `&after=${encodeURIComponent(after)}`;
    const page: Paged<"topics", Topic> = await api.get(`/v1/topics?limit=${PAGE}${query}`, signal);
    topics.push(...page.topics);
    if (page.next === null) return { topics, more: false };
    after = page.next;
  }
  return { topics, more: true };
}

/** A new topic; the server checks it and says what is wrong. */
function Create({ api }: { api: Api }) {
  const { busy, problem, run } = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const name = text("name");
    void run(async () => {
      await api.send("PUT", `/v1/topics/${encodeURIComponent(name)}`, {
        partitions: Number(text("partitions")),
        key: text("key") || null,
        timestamp: text("timestamp") || null,
      });
      go("streams", "topics", name);
    });
  };
  return (
    <form class="form create" onSubmit={submit} aria-label="Create a topic">
      <div class="fields">
        <Field label="New topic">
          {(id) => <input id={id} class="input" name="name" required maxLength={256} autocomplete="off" spellcheck={false} />}
        </Field>
        <Field label="Partitions" small>
          {(id) => <input id={id} class="input" name="partitions" type="number" required min={1} max={64} defaultValue="1" />}
        </Field>
        <Field label="Key" hint="JSON pointer">
          {(id) => <input id={id} class="input" name="key" placeholder="/origin" autocomplete="off" spellcheck={false} />}
        </Field>
        <Field label="Event time" hint="JSON pointer">
          {(id) => <input id={id} class="input" name="timestamp" placeholder="/date" autocomplete="off" spellcheck={false} />}
        </Field>
        <button type="submit" class="button button-main" disabled={busy}>
          Create the topic
        </button>
      </div>
      <Problem text={problem} />
    </form>
  );
}

function Topologies({ api }: { api: Api }) {
  const { value, problem } = usePolled(
    "Topologies",
    (signal) => api.get<{ topologies: Topology[] }>("/v1/topologies", signal),
    12 * EVERY_MS,
  );
  return (
    <Panel title="Topologies" problem={problem}>
      {value?.topologies.map(({ name, version, sources, tables, sinks, models }) => (
        <div key={name} class="declared">
          <p>
            <a class="row-link" href={hrefOf("streams", "topologies", name)}>
              {name}
            </a>{" "}
            <span class="muted">version {version}</span>
          </p>
          <p class="muted">
            reads {sources.join(", ")}
            {models.length > 0 && `; scores with ${models.join(", ")}`}; makes{" "}
            {[...tables.map((table) => `table ${table}`), ...sinks.map((sink) => sink.replace(":", " "))].join(", ")}
          </p>
        </div>
      ))}
      {value?.topologies.length === 0 && <p class="empty-note">This deployment has none.</p>}
      {value === null && problem === null && <p class="empty-note">Loading …</p>}
    </Panel>
  );
}

function Tables({ api }: { api: Api }) {
  const { value, problem } = usePolled("Tables", (signal) => api.get<{ tables: TableListed[] }>("/v1/tables", signal), 12 * EVERY_MS);
  return (
    <Panel title="Tables" problem={problem}>
      {value?.tables.map(({ name, topology, fields }) => (
        <div key={name} class="declared">
          <p>
            <a class="row-link" href={hrefOf("streams", "tables", name)}>
              {name}
            </a>{" "}
            <span class="muted">of {topology}</span>
          </p>
          <p class="muted">{fields.join(", ")}</p>
        </div>
      ))}
      {value?.tables.length === 0 && <p class="empty-note">This deployment has none.</p>}
      {value === null && problem === null && <p class="empty-note">Loading …</p>}
    </Panel>
  );
}
