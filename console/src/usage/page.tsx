import { useMemo, useState } from "preact/hooks";
import type uPlot from "uplot";
import "../styles/usage.css";
import type { PageProps } from "../page.ts";
import type { Amounts, Usage } from "../platform/answers.ts";
import { usePolled } from "../platform/polled.ts";
import { Chart } from "../ui/chart.tsx";
import { Choice } from "../ui/choice.tsx";
import { bytes, dollars, moment, whole } from "../ui/format.ts";
import { PageTitle } from "../ui/page-title.tsx";
import { Panel } from "../ui/panel.tsx";
import { ScrollX } from "../ui/scroll.tsx";
import { theme } from "../ui/theme.ts";
import { Tile } from "../ui/tile.tsx";
import { barsOf, usageOptions } from "./bars.ts";
import { MEASURES, type Measure } from "./measures.ts";

const EVERY_MS = 10_000;
const HOUR = 3_600_000;
const RANGES = { "24": "A day", "168": "A week", "720": "30 days" } as const;
type Range = keyof typeof RANGES;

/** What the project used and what it costs, by hour and capability. */
export default function UsagePage({ api }: PageProps) {
  const [range, setRange] = useState<Range>("24");
  const [measure, setMeasure] = useState<Measure>("requests");
  const hours = Number(range);
  const ask = (signal: AbortSignal) => {
    const to = Date.now();
    return api.get<Usage>(`/v1/usage?from=${to - (hours - 1) * HOUR}&to=${to}`, signal);
  };
  const { value: usage, problem } = usePolled("Usage", ask, EVERY_MS, range);
  return (
    <div class="page">
      <PageTitle title="Usage">
        <p class="muted">What was let in, what it wrote, and what that costs.</p>
      </PageTitle>
      <div class="actions">
        <Choice
          label="Time"
          options={Object.entries(RANGES).map(([value, label]) => ({ value: value as Range, label }))}
          value={range}
          onChange={setRange}
        />
      </div>
      {usage === null ? (
        <p class={problem === null ? "empty-note" : "problem"} role="status">
          {problem ?? "Loading …"}
        </p>
      ) : (
        <>
          {problem !== null && (
            <p class="problem" role="status">
              {problem}
            </p>
          )}
          <Totals usage={usage} />
          {usage.hours.length === 0 ? (
            <p class="panel empty-note">Nothing was used in this time. Health checks and the files of this console are not counted.</p>
          ) : (
            <>
              <ByHour usage={usage} hours={hours} measure={measure} onMeasure={setMeasure} />
              <div class="columns">
                <ByCapability usage={usage} />
                <NotCounted />
              </div>
              <Hours usage={usage} />
            </>
          )}
        </>
      )}
    </div>
  );
}

function Totals({ usage: { total, dollars: cost } }: { usage: Usage }) {
  return (
    <dl class="tiles tiles-five" aria-label="Totals">
      <Tile id="used-requests" name="Requests" value={whole(total.requests)}>
        let in, all capabilities
      </Tile>
      <Tile id="used-rows" name="Rows" value={whole(total.rows)}>
        written to storage, as billed
      </Tile>
      <Tile id="used-in" name="In" value={bytes(total.bytesIn)}>
        in bodies of requests
      </Tile>
      <Tile id="used-out" name="Out" value={bytes(total.bytesOut)}>
        in bodies of responses
      </Tile>
      <Tile id="used-dollars" name="Cost" value={dollars(cost.total)}>
        {dollars(cost.requests)} for requests, {dollars(cost.rows)} for rows
      </Tile>
    </dl>
  );
}

type ByHourProps = { usage: Usage; hours: number; measure: Measure; onMeasure: (measure: Measure) => void };

function ByHour({ usage, hours, measure, onMeasure }: ByHourProps) {
  const capabilities = Object.keys(usage.byCapability).sort();
  const { data, highest } = useMemo(() => barsOf(usage, hours, capabilities, measure), [usage, hours, measure]);
  const options = useMemo<Omit<uPlot.Options, "width" | "height">>(
    () => usageOptions(capabilities.length, measure),
    [capabilities.join(), measure, theme.value],
  );
  const { label, say } = MEASURES[measure];
  const said = highest === null ? "" : ` The most in one hour: ${say(highest.value)}, at ${moment(highest.at)}.`;
  return (
    <Panel
      title="By hour"
      aside={
        <Choice
          label="What is drawn"
          options={Object.entries(MEASURES).map(([value, each]) => ({ value: value as Measure, label: each.label }))}
          value={measure}
          onChange={onMeasure}
        />
      }
    >
      <div role="img" aria-label={`${label} by hour and capability.${said}`} data-testid="usage-chart">
        <Chart options={options} data={data} height={230} />
      </div>
      <ul class="tags usage-legend">
        {capabilities.map((capability, at) => (
          <li key={capability}>
            <span class={`usage-swatch usage-${at + 1}`} aria-hidden="true" /> {capability}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** What requests and rows of a share cost: the account's own prices. */
function costOf({ total, dollars: cost }: Usage, { requests, rows }: Amounts): number {
  return (
    (total.requests === 0 ? 0 : (cost.requests * requests) / total.requests) + (total.rows === 0 ? 0 : (cost.rows * rows) / total.rows)
  );
}

function ByCapability({ usage }: { usage: Usage }) {
  return (
    <Panel title="By capability">
      <ScrollX label="Capabilities, a row each">
        <table class="rows" data-testid="by-capability">
          <thead>
            <tr>
              <th scope="col">Capability</th>
              {["Requests", "Rows", "In", "Out", "Cost"].map((title) => (
                <th key={title} scope="col" class="num">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {Object.entries(usage.byCapability)
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([capability, amounts]) => (
                <tr key={capability}>
                  <th scope="row">{capability}</th>
                  <Cells amounts={amounts} />
                  <td class="num">{dollars(costOf(usage, amounts))}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </ScrollX>
    </Panel>
  );
}

function Cells({ amounts: { requests, rows, bytesIn, bytesOut } }: { amounts: Amounts }) {
  return (
    <>
      <td class="num">{whole(requests)}</td>
      <td class="num">{whole(rows)}</td>
      <td class="num">{bytes(bytesIn)}</td>
      <td class="num">{bytes(bytesOut)}</td>
    </>
  );
}

function NotCounted() {
  return (
    <Panel title="Not in this account">
      <ul class="not-counted">
        <li>Free allowances: every sum is at list price from the first request.</li>
        <li>Messages of queues, the time that objects are awake, and storage at rest.</li>
        <li>Requests that were refused before they reached an object, and health checks.</li>
        <li>The last second before an isolate crashed: its figures, never its data.</li>
      </ul>
      <p class="hint">A request counts as one of the Worker and one of an object; rows count as they are billed, with their indexes.</p>
    </Panel>
  );
}

const SHOWN = 200;

function Hours({ usage }: { usage: Usage }) {
  const newest = [...usage.hours].sort((a, b) => b.start - a.start || (a.capability < b.capability ? -1 : 1));
  return (
    <Panel title="Hours" aside={newest.length > SHOWN && <span class="panel-note">the newest {SHOWN}</span>}>
      <ScrollX label="Hours and capabilities, newest first">
        <table class="rows" data-testid="usage-hours">
          <thead>
            <tr>
              <th scope="col">Hour</th>
              <th scope="col">Capability</th>
              {["Requests", "Rows", "In", "Out", "Cost"].map((title) => (
                <th key={title} scope="col" class="num">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {newest.slice(0, SHOWN).map((hour) => (
              <tr key={`${hour.start}/${hour.capability}`}>
                <td class="muted">{moment(hour.start)}</td>
                <th scope="row">{hour.capability}</th>
                <Cells amounts={hour} />
                <td class="num">{dollars(costOf(usage, hour))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollX>
    </Panel>
  );
}
