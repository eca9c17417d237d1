import type { ComponentChildren } from "preact";
import "../styles/overview.css";
import type { PageProps } from "../page.ts";
import { sum } from "../platform/answers.ts";
import { hrefOf } from "../router.ts";
import { Copyable } from "../ui/copy.tsx";
import { bytes, compact, dollars, perSecond, plural, shortRate, whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { Tile } from "../ui/tile.tsx";
import { Flow } from "./flow.tsx";
import { type Overview, sumOf, useOverview } from "./state.ts";

/** The platform as it is: what flows where, how fast, and what falls behind. */
export default function OverviewPage({ api, session }: PageProps) {
  const overview = useOverview(api);
  const { topologies, topics, rooms } = overview;
  const fresh = topics.value?.topics.length === 0 && rooms.value?.rooms.length === 0;
  return (
    <div class="page">
      <header class="page-title">
        <h1>Overview</h1>
        <p class="muted">
          Project <b>{session.project}</b>, as it is now.
        </p>
      </header>
      <Totals overview={overview} />
      {fresh && <Fresh />}
      <Panel
        title="What flows where"
        problem={topologies.problem ?? topics.problem}
        aside={<span class="panel-note">each a link to its page</span>}
      >
        {topologies.value === null ? (
          topologies.problem === null && <p class="empty-note">Loading …</p>
        ) : topologies.value.length === 0 ? (
          <p class="empty-note">This deployment has no topology. Topics and rooms work without one.</p>
        ) : (
          <Flow
            topologies={topologies.value}
            topics={topics.value?.topics ?? null}
            rooms={rooms.value?.rooms ?? null}
            rate={overview.rate}
          />
        )}
        <p class="hint">
          Each partition of a topic, each task of a topology and each room is an object of its own. A queue tells a topology that its topic
          has grown; the records themselves stay in the topic, and a task reads each partition from there. A topology's cells are its tasks:
          a full one has applied everything.
        </p>
      </Panel>
      <div class="beside">
        <OtherTopics overview={overview} />
        <Rooms overview={overview} />
        <Models overview={overview} />
      </div>
    </div>
  );
}

function Totals({ overview: { topologies, topics, usage, rate, requests } }: { overview: Overview }) {
  const tasks = topologies.value?.flatMap((each) => each.tasks) ?? null;
  const rates = topics.value?.topics.map(({ name }) => rate(`topic:${name}`)).filter((each) => each !== null) ?? [];
  const lag = tasks && sumOf(tasks.map((task) => task.lag));
  const late = tasks && sumOf(tasks.map((task) => sum(task.late)));
  const poisoned = tasks && sumOf(tasks.map((task) => task.poisoned));
  const outbox = tasks && sumOf(tasks.map((task) => task.outbox));
  const used = usage.value;
  return (
    <dl class="tiles tiles-six" aria-label="Totals">
      <Tile id="records-rate" name="Records" value={rates.length === 0 ? null : shortRate(sumOf(rates))}>
        a second, into all topics
      </Tile>
      <Tile id="requests-rate" name="Requests" value={requests === null ? null : shortRate(requests)}>
        a second{used !== null && `; ${compact(used.total.requests)} in 24 hours`}
      </Tile>
      <Tile id="lag" name="Lag" value={lag === null ? null : whole(lag)} tone={lag ? "busy" : "calm"}>
        {lag === 0 ? "every task has everything" : "records that tasks have yet to apply"}
      </Tile>
      <Tile id="outbox" name="Outbox" value={outbox === null ? null : whole(outbox)}>
        outputs not yet delivered
      </Tile>
      <Tile id="aside" name="Set aside" value={late === null || poisoned === null ? null : whole(late + poisoned)}>
        {late === null || poisoned === null ? "late and unreadable records" : `${whole(late)} late, ${whole(poisoned)} unreadable`}
      </Tile>
      <Tile id="cost" name="Cost" value={used === null ? null : dollars(used.dollars.total)}>
        {usage.problem ?? "in 24 hours, at list price"}
      </Tile>
    </dl>
  );
}

function Fresh() {
  const command = location.origin === "http://localhost:8787" ? "npm run demo" : `npm run demo -- --url ${location.origin}`;
  return (
    <section class="panel fresh" aria-labelledby="fresh-title" data-testid="fresh">
      <h2 id="fresh-title">A fresh deployment</h2>
      <p>Nothing is stored yet. Three ways to begin:</p>
      <ol>
        <li>
          Run the demo on the <a href={hrefOf("flight-desk")}>flight desk</a>, which sends real flights, or send them from a terminal:{" "}
          <Copyable text={command} what="command" />
        </li>
        <li>
          Make <a href={hrefOf("streams")}>a topic of your own</a> and produce a record by hand.
        </li>
        <li>
          Mint <a href={hrefOf("tokens")}>a token</a> for an app; a room is made by the first who connects to it.
        </li>
      </ol>
    </section>
  );
}

function OtherTopics({ overview: { topics, topologies, rate } }: { overview: Overview }) {
  const flowing = new Set(
    topologies.value?.flatMap(({ sources, sinks }) => [...sources, ...sinks.map((sink) => sink.replace(/^topic:/, ""))]),
  );
  const others = topics.value?.topics.filter(({ name }) => !flowing.has(name)) ?? null;
  return (
    <Group
      title="Other topics"
      problem={topics.problem}
      loaded={others !== null}
      empty="No topic stands apart from the topologies."
      href={hrefOf("streams")}
      more={topics.value?.more ?? false}
    >
      {others?.map((topic) => {
        const speed = rate(`topic:${topic.name}`);
        return (
          <li key={topic.name}>
            <a class="row-link" href={hrefOf("streams", "topics", topic.name)}>
              {topic.name}
            </a>
            <span class="muted">
              {plural(sumOf(topic.extents.map(({ head }) => head)), "record")}
              {speed ? `, ${perSecond(speed)}` : ""}
            </span>
          </li>
        );
      })}
    </Group>
  );
}

function Rooms({ overview: { rooms } }: { overview: Overview }) {
  return (
    <Group
      title="Rooms"
      problem={rooms.problem}
      loaded={rooms.value !== null}
      empty="No room yet: the first connection makes one."
      href={hrefOf("rooms")}
      more={rooms.value?.more ?? false}
    >
      {rooms.value?.rooms.map(({ name, status }) => (
        <li key={name}>
          <a class="row-link" href={hrefOf("rooms", name)}>
            {name}
          </a>
          <span class="muted">{status !== null && `${plural(status.connections, "connection")}, ${bytes(status.databaseBytes)}`}</span>
        </li>
      ))}
    </Group>
  );
}

function Models({ overview: { models } }: { overview: Overview }) {
  return (
    <Group
      title="Models"
      problem={models.problem}
      loaded={models.value !== null}
      empty="No model that you may read."
      href={null}
      more={false}
    >
      {models.value?.models.map(({ name, versions }) => (
        <li key={name}>
          <a class="row-link" href="/guide/models">
            {name}
          </a>
          <span class="muted">
            {versions.length === 1 ? "version" : "versions"} {versions.join(", ")}
          </span>
        </li>
      ))}
    </Group>
  );
}

type GroupProps = {
  title: string;
  problem: string | null;
  loaded: boolean;
  empty: string;
  href: string | null;
  more: boolean;
  children: ComponentChildren[] | undefined;
};

function Group({ title, problem, loaded, empty, href, more, children }: GroupProps) {
  return (
    <Panel
      title={title}
      problem={problem}
      aside={
        href !== null && (
          <a href={href}>
            {more ? "All of them" : "Open"}
            <span class="visually-hidden">: {title}</span>
          </a>
        )
      }
    >
      {children !== undefined && children.length > 0 ? (
        <ul class="objects">{children}</ul>
      ) : (
        problem === null && <p class="empty-note">{loaded ? empty : "Loading …"}</p>
      )}
    </Panel>
  );
}
