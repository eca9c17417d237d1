import type { PageProps } from "../page.ts";
import { sum, type TopologyStatus } from "../platform/answers.ts";
import { usePolled } from "../platform/polled.ts";
import { hrefOf } from "../router.ts";
import { moment, plural, whole } from "../ui/format.ts";
import { Warning } from "../ui/icons.tsx";
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
          {topology === null ? "Topology" : `Topology, version ${topology.version}, ${plural(topology.tasks.length, "task")}`}
        </p>
      </PageTitle>
      {topology === null ? (
        <p class={problem === null ? "empty-note" : "problem"} role="status">
          {problem ?? "Loading …"}
        </p>
      ) : (
        <>
          <Live topology={topology} />
          <Declared topology={topology} />
          <Unread topology={topology} />
          <Panel title="Tasks" problem={problem} aside={<span class="panel-note">one reads each partition; counts are of records</span>}>
            <Tasks topology={topology} />
            <Waiting topology={topology} />
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

/** Which version is live. What is deployed and not live takes no records until somebody makes it so. */
function Live({ topology: { name, version, live } }: { topology: TopologyStatus }) {
  if (live === null)
    return (
      <p class="hint" data-testid="live">
        Not live yet, so it takes no records. The first that comes makes it so, or <code>PUT /v1/topologies/{name}/live</code>.
      </p>
    );
  if (live.version > version)
    return (
      <p class="notice" role="status" data-testid="live">
        <Warning />
        <span>
          <strong>
            Version {live.version} is live, and version {version} is deployed.
          </strong>{" "}
          It takes no records until somebody goes back on purpose: <code>PUT /v1/topologies/{name}/live</code>.
        </span>
      </p>
    );
  return (
    <p class="hint" data-testid="live">
      Version {live.version} is live since {moment(live.since)}.
      {live.version < version && ` Version ${version} is deployed, and live with its first record.`}
    </p>
  );
}

type Link = { href: string; kind: string; name: string };

/** What it reads, what it scores with, and what it makes: each a link. */
function Declared({ topology: { sources, tables, sinks, models } }: { topology: TopologyStatus }) {
  const groups: { title: string; links: Link[] }[] = [
    { title: "Reads", links: sources.map((name) => ({ kind: "topic", href: hrefOf("streams", "topics", name), name })) },
    { title: "Scores with", links: models.map((name) => ({ kind: "model", href: "/guide/models", name })) },
    {
      title: "Makes",
      links: [
        ...tables.map((name) => ({ kind: "table", href: hrefOf("streams", "tables", name), name })),
        ...sinks.map((sink) => {
          const name = sink.slice(sink.indexOf(":") + 1);
          const room = sink.startsWith("room:");
          return { kind: room ? "room" : "topic", href: room ? hrefOf("rooms", name) : hrefOf("streams", "topics", name), name };
        }),
      ],
    },
  ];
  return (
    <dl class="panel declared-links" aria-label="What it reads and makes">
      {groups
        .filter(({ links }) => links.length > 0)
        .map(({ title, links }) => (
          <div key={title}>
            <dt>{title}</dt>
            <dd>
              {links.map(({ kind, href, name }) => (
                <span key={`${kind}:${name}`}>
                  <span class="muted">{kind}</span>{" "}
                  <a class="row-link" href={href}>
                    {name}
                  </a>
                </span>
              ))}
            </dd>
          </div>
        ))}
    </dl>
  );
}

/** A topic that is older than the topology may have partitions that no task reads: what lies there reaches no table. */
function Unread({ topology: { name, partitions, unread } }: { topology: TopologyStatus }) {
  const topics = [...new Set(unread.map(({ topic }) => topic))];
  return topics.map((topic) => {
    const there = unread.filter((each) => each.topic === topic);
    const records = there.reduce((total, { head }) => total + head, 0);
    const numbers = there.map(({ partition }) => partition);
    return (
      <p key={topic} class="notice" role="status" data-testid="unread">
        <Warning />
        <span>
          <strong>
            {plural(there.length, "partition")} of <a href={hrefOf("streams", "topics", topic)}>{topic}</a>{" "}
            {there.length === 1 ? "is" : "are"} not read.
          </strong>{" "}
          {name} reads {plural(partitions, "partition")}; the topic has {partitions + there.length}.{" "}
          {there.length === 1 ? `In partition ${numbers[0]} lie` : `In partitions ${numbers[0]} to ${numbers.at(-1)} lie`}{" "}
          {plural(records, "record")} that reach no table. Declare a version with {partitions + there.length} partitions to have them read.
        </span>
      </p>
    );
  });
}

/** Outputs that stay in the outbox because their receiver does not take them. */
function Waiting({ topology: { tasks } }: { topology: TopologyStatus }) {
  const waiting = tasks.flatMap(({ partition, waiting }) => waiting.map((each) => ({ partition, ...each })));
  if (waiting.length === 0) return null;
  return (
    <ul class="problem waiting" aria-label="What does not take its outputs">
      {waiting.map(({ partition, sink, to, code, detail }) => (
        <li key={`${partition}/${sink}/${to}`}>
          Partition {partition} waits for {to}: {detail} <code>{code}</code>
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
            {["#", "Head", "Applied", "Lag", "Late", "Unreadable", "Outbox"].map((title, at) => (
              <th key={title} scope="col" class={at === 0 ? "num index" : "num"}>
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
      {tables.length === 0 && <p class="empty-note">It has no table, so nothing can be late.</p>}
      {tables.map((table) => {
        const late = tasks.reduce((total, task) => total + (task.late[table] ?? 0), 0);
        const most = tasks.filter((task) => (task.late[table] ?? 0) > 0);
        return (
          <p key={table} class="late" data-testid={`late-${table}`}>
            <a class="row-link" href={hrefOf("streams", "tables", table)}>
              {table}
            </a>
            : {plural(late, "record")}
            {most.length > 0 && (
              <span class="muted">{` (${most.map((task) => `${whole(task.late[table]!)} in partition ${task.partition}`).join(", ")})`}</span>
            )}
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
                  <th scope="row" class="name">
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
