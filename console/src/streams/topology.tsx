import type { PageProps } from "../page.ts";
import { sum, type TopologyStatus } from "../platform/answers.ts";
import { usePolled } from "../platform/polled.ts";
import { hrefOf } from "../router.ts";
import { plural, whole } from "../ui/format.ts";
import { PageTitle } from "../ui/page-title.tsx";
import { Panel } from "../ui/panel.tsx";
import { ScrollX } from "../ui/scroll.tsx";

const EVERY_MS = 2_000;

/** One topology: how far its tasks are, and the records they set aside. */
export function TopologyView({ api, name }: PageProps & { name: string }) {
  const path = `/v1/topologies/${encodeURIComponent(name)}`;
  const { value: topology, problem } = usePolled("Topology", (signal) => api.get<TopologyStatus>(path, signal), EVERY_MS, path);
  return (
    <div class="page">
      <PageTitle title={name} up={{ href: hrefOf("streams"), title: "Streams" }}>
        <p class="muted">
          {topology === null
            ? "Topology"
            : `Topology, version ${topology.version}; ${plural(topology.tasks.length, "task")}, one a partition`}
        </p>
      </PageTitle>
      {topology === null ? (
        <p class={problem === null ? "empty-note" : "problem"} role="status">
          {problem ?? "Loading …"}
        </p>
      ) : (
        <>
          <Panel title="Tasks" problem={problem} aside={<Declared topology={topology} />}>
            <Tasks topology={topology} />
          </Panel>
          <div class="columns">
            <Late topology={topology} />
            <Poisoned topology={topology} />
          </div>
        </>
      )}
    </div>
  );
}

/** What it reads and makes, as links. */
function Declared({ topology: { sources, tables, sinks } }: { topology: TopologyStatus }) {
  const links = [
    ...sources.map((source) => ({ word: "reads", href: hrefOf("streams", "topics", source), name: source })),
    ...tables.map((table) => ({ word: "table", href: hrefOf("streams", "tables", table), name: table })),
    ...sinks.map((sink) => {
      const name = sink.slice(sink.indexOf(":") + 1);
      const room = sink.startsWith("room:");
      return { word: room ? "room" : "topic", href: room ? hrefOf("rooms", name) : hrefOf("streams", "topics", name), name };
    }),
  ];
  return (
    <ul class="tags panel-note">
      {links.map(({ word, href, name }) => (
        <li key={href}>
          {word} <a href={href}>{name}</a>
        </li>
      ))}
    </ul>
  );
}

function Tasks({ topology: { tasks } }: { topology: TopologyStatus }) {
  return (
    <ScrollX label="Tasks, a row each">
      <table class="rows" data-testid="tasks">
        <thead>
          <tr>
            {["#", "Head", "Applied", "Lag", "Late", "Unreadable", "Outbox"].map((title) => (
              <th key={title} scope="col" class="num">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {tasks.map(({ partition, head, applied, lag, late, poisoned, outbox }) => (
            <tr key={partition}>
              <th scope="row" class="num">
                {partition}
              </th>
              <td class="num">{whole(sum(head))}</td>
              <td class="num">{whole(sum(applied))}</td>
              <td class={`num${lag > 0 ? " busy" : ""}`}>{whole(lag)}</td>
              <td class="num">{whole(sum(late))}</td>
              <td class={`num${poisoned > 0 ? " bad" : ""}`}>{whole(poisoned)}</td>
              <td class="num">{whole(outbox)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollX>
  );
}

function Late({ topology: { tasks, tables } }: { topology: TopologyStatus }) {
  return (
    <Panel title="Late records">
      {tables.map((table) => {
        const late = tasks.reduce((total, task) => total + (task.late[table] ?? 0), 0);
        const most = tasks.filter((task) => (task.late[table] ?? 0) > 0);
        return (
          <p key={table} data-testid={`late-${table}`}>
            <a class="row-link" href={hrefOf("streams", "tables", table)}>
              {table}
            </a>
            : {plural(late, "record")}
            {most.length > 0 && ` (${most.map((task) => `${whole(task.late[table]!)} in partition ${task.partition}`).join(", ")})`}
          </p>
        );
      })}
      <p class="hint">They came after their window had closed. They are counted, stay in their topic, and change no row.</p>
    </Panel>
  );
}

function Poisoned({ topology: { tasks } }: { topology: TopologyStatus }) {
  const count = tasks.reduce((total, { poisoned }) => total + poisoned, 0);
  const last = tasks.flatMap(({ partition, lastPoison }) => lastPoison.map((each) => ({ partition, ...each })));
  return (
    <Panel
      title="Unreadable records"
      aside={
        count > last.length && (
          <span class="panel-note">
            the last {last.length} of {whole(count)}
          </span>
        )
      }
    >
      {last.length === 0 ? (
        <p class="empty-note">None: every record could be processed.</p>
      ) : (
        <ScrollX label="Unreadable records, a row each">
          <table class="rows" data-testid="poison">
            <thead>
              <tr>
                <th scope="col">Topic</th>
                <th scope="col" class="num">
                  Partition
                </th>
                <th scope="col" class="num">
                  Offset
                </th>
                <th scope="col">Why</th>
              </tr>
            </thead>
            <tbody>
              {last.map(({ partition, topic, offset, node, error }) => (
                <tr key={`${partition}/${topic}/${offset}/${node}`}>
                  <th scope="row">
                    <a href={hrefOf("streams", "topics", topic)}>{topic}</a>
                  </th>
                  <td class="num">{partition}</td>
                  <td class="num">{whole(offset)}</td>
                  <td class="wrap">{error}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </ScrollX>
      )}
      <p class="hint">A record that a task cannot process is set aside with the reason, and the task goes on.</p>
    </Panel>
  );
}
