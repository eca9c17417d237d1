import { useMemo } from "preact/hooks";
import type { Api } from "../platform/api.ts";
import { may } from "../platform/may.ts";
import type { Session } from "../platform/session.ts";
import { percent, perSecond, whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import type { Counters } from "./counters.ts";
import { type DemoRun, demoRun, TOPIC } from "./demo-run.ts";

const SPEEDS = [
  { value: 500, label: "500 a second" },
  { value: 2000, label: "2,000 a second" },
  { value: 5000, label: "5,000 a second" },
  { value: Number.POSITIVE_INFINITY, label: "as fast as it goes" },
];

type DemoProps = { api: Api; session: Session; counters: Counters };

/** *Run the demo*: only for those who may append flights, and create their topic where it is not there yet. */
export function Demo({ api, session, counters }: DemoProps) {
  const exists = counters.topology.value?.tasks.some(({ head }) => head[TOPIC] !== undefined) ?? false;
  const allowed = may(session, "streams", TOPIC, "write") && (exists || may(session, "streams", TOPIC, "admin"));
  return allowed ? <Controls api={api} session={session} /> : null;
}

function Controls({ api, session }: { api: Api; session: Session }) {
  const run = useMemo(() => demoRun(api, session), [api, session]);
  const state = run.state.value;
  const going = state === "running" || state === "starting";
  return (
    <Panel title="Demo" class="demo" problem={run.problem.value}>
      <div class="demo-controls">
        {going ? (
          <button type="button" class="button button-main" onClick={() => run.pause()}>
            Pause
          </button>
        ) : (
          <button type="button" class="button button-main" disabled={state === "done"} onClick={() => run.start()}>
            {state === "paused" ? "Go on" : "Run the demo"}
          </button>
        )}
        {(going || state === "paused" || state === "done") && (
          <button type="button" class="button" onClick={() => run.forget()} title="Starting again sends all flights again, as new records.">
            {state === "done" ? "Begin again" : "Stop"}
          </button>
        )}
        <label>
          <span class="visually-hidden">Speed</span>
          <select class="input" value={String(run.speed.value)} onChange={(event) => (run.speed.value = Number(event.currentTarget.value))}>
            {SPEEDS.map(({ value, label }) => (
              <option key={label} value={String(value)}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <Progress run={run} />
      </div>
    </Panel>
  );
}

function Progress({ run }: { run: DemoRun }) {
  const [state, sent, total, rate] = [run.state.value, run.sent.value, run.total.value, run.rate.value];
  if (state === "idle") {
    return <p class="muted demo-words">Three days of real flights, sent by this browser, a little out of order: about 49,000.</p>;
  }
  const known = total > 0;
  const words = {
    idle: "",
    starting: "Loading the flights …",
    running: `${whole(sent)} of ${whole(total)} acknowledged, ${perSecond(rate)}`,
    paused: known ? `Paused at ${whole(sent)} of ${whole(total)}` : `Paused at ${whole(sent)}`,
    done: `All ${whole(total)} are acknowledged`,
  }[state];
  return (
    <>
      <progress class="demo-bar" max={known ? total : 1} value={known ? sent : 0} aria-label="Flights acknowledged">
        {known ? percent(sent / total) : ""}
      </progress>
      <p class="demo-words" role="status" data-testid="demo">
        {words}
      </p>
    </>
  );
}
