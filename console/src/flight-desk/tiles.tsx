import { percent, plural, whole } from "../ui/format.ts";
import { Tile } from "../ui/tile.tsx";
import type { Counters } from "./counters.ts";
import type { DelayTable } from "./delays.ts";
import type { UnusualFlights } from "./unusual.ts";

type TilesProps = { counters: Counters; table: DelayTable; unusual: UnusualFlights };

/** The totals, each with what it means. */
export function Tiles({ counters, table, unusual }: TilesProps) {
  const total = counters.total.value;
  const status = counters.topology.value;
  const overview = table.overview.value;
  const lag = status === null ? null : status.tasks.reduce((sum, task) => sum + task.lag, 0);
  const late = status === null ? null : status.tasks.reduce((sum, task) => sum + Object.values(task.late).reduce((a, b) => a + b, 0), 0);
  const poisoned = status?.tasks.reduce((sum, task) => sum + task.poisoned, 0) ?? 0;
  const refused = unusual.problem.value !== null;
  return (
    <dl class="tiles" aria-label="Totals">
      <Tile id="appended" name="Appended" value={total && whole(total.appended)}>
        records, durable in the log
      </Tile>
      <Tile id="applied" name="Applied" value={total && whole(total.applied)}>
        {poisoned > 0 ? `${plural(poisoned, "record")} could not be read` : "each counted once"}
      </Tile>
      <Tile id="lag" name="Lag" value={lag === null ? null : whole(lag)} tone={lag !== null && lag > 0 ? "busy" : "calm"}>
        {lag === 0 ? "the table has everything" : "records on their way"}
      </Tile>
      <Tile id="late" name="Late" value={late === null ? null : whole(late)}>
        {total && late !== null && total.applied > 0 ? `${percent(late / total.applied)}, counted apart` : "after their window had closed"}
      </Tile>
      <Tile id="windows" name="Windows" value={table.complete.value ? whole(overview.windows) : null}>
        {table.complete.value ? `${whole(overview.windows - overview.open)} final, ${whole(overview.open)} open` : "final and open"}
      </Tile>
      <Tile id="unusual" name="Unusual" value={refused ? null : whole(unusual.count.value)}>
        {!refused && total && total.applied > 0
          ? `${percent(unusual.count.value / total.applied)} of the flights`
          : "flights, says the model"}
      </Tile>
    </dl>
  );
}
