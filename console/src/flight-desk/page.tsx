import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import "../styles/flight-desk.css";
import "../styles/flight-demo.css";
import type { PageProps } from "../page.ts";
import type { Api } from "../platform/api.ts";
import type { Session } from "../platform/session.ts";
import { clock, date } from "../ui/format.ts";
import { Board } from "./board.tsx";
import { Counters } from "./counters.ts";
import { DelayChart } from "./delay-chart.tsx";
import { DelayTable } from "./delays.ts";
import { Demo } from "./demo.tsx";
import { DutyPanel } from "./duty.tsx";
import { Empty } from "./empty.tsx";
import { Heatmap } from "./heatmap.tsx";
import { AirportMap } from "./map.tsx";
import { DEFAULT_CHOSEN } from "./metrics.ts";
import { Note } from "./note.tsx";
import { RatePanel } from "./rate-panel.tsx";
import { DeskRoom } from "./room.ts";
import { Tasks } from "./tasks.tsx";
import { Tiles } from "./tiles.tsx";
import { UnusualFlights } from "./unusual.ts";
import { UnusualList } from "./unusual-list.tsx";

/** What the page reads, from when it is opened until it is left. */
class Desk {
  readonly counters: Counters;
  readonly table: DelayTable;
  readonly unusual: UnusualFlights;
  readonly room: DeskRoom;

  constructor(api: Api, session: Session) {
    this.counters = new Counters(api, () => {
      this.table.nudge();
      this.room.nudge();
    });
    this.table = new DelayTable(api, () => this.counters.wake());
    this.unusual = new UnusualFlights(api, session);
    this.room = new DeskRoom(api, session);
  }

  close(): void {
    this.counters.close();
    this.table.close();
    this.unusual.close();
    this.room.close();
  }
}

/** The flight desk: one thread of real data, live. */
export default function FlightDesk({ api, session }: PageProps) {
  const [desk, setDesk] = useState<Desk | null>(null);
  useEffect(() => {
    const opened = new Desk(api, session);
    setDesk(opened);
    return () => opened.close();
  }, [api, session]);
  return desk === null ? null : <Open desk={desk} api={api} session={session} />;
}

function Open({ desk: { counters, table, unusual, room }, api, session }: PageProps & { desk: Desk }) {
  const total = counters.total.value;
  const empty = total !== null && total.appended === 0;

  return (
    <div class={empty ? "desk desk-empty" : "desk"}>
      <Title table={table} />
      <div class="desk-top">
        <Demo api={api} session={session} counters={counters} />
        <DutyPanel api={api} session={session} />
        <RatePanel counters={counters} />
        <Tiles counters={counters} table={table} unusual={unusual} />
      </div>
      {empty && <Empty />}
      {!empty && <Charts table={table} />}
      <Board room={room} />
      {!empty && <UnusualList unusual={unusual} />}
      <Note room={room} />
      <Tasks counters={counters} />
    </div>
  );
}

function Title({ table }: { table: DelayTable }) {
  const time = table.overview.value.streamTime;
  return (
    <header class="desk-title">
      <h1>Flight desk</h1>
      <p class="muted">
        {time < 0 ? (
          "Real flights of January 2001, streamed in out of order."
        ) : (
          <>
            The data's clock:{" "}
            <span class="desk-clock">
              {date(time)}, {clock(time)}
            </span>
          </>
        )}
      </p>
    </header>
  );
}

/** The map and both charts show the same choice of airports: the busiest, until one is made. */
function Charts({ table }: { table: DelayTable }) {
  const choice = useSignal<readonly string[] | null>(null);
  const chosen = useComputed(() => choice.value ?? table.busiest.value.slice(0, DEFAULT_CHOSEN).map(({ airport }) => airport));
  const onChoose = (airports: readonly string[]) => {
    choice.value = airports;
  };
  if (chosen.value.length === 0) {
    return (
      <div class="panel delays no-charts">
        <p class={table.problem.value === null ? "empty-note" : "problem"} role="status">
          {table.problem.value ?? (table.complete.value ? "No window has a flight yet." : "Loading the table …")}
        </p>
      </div>
    );
  }
  return (
    <>
      <AirportMap table={table} chosen={chosen} onChoose={onChoose} />
      <DelayChart table={table} chosen={chosen} onChoose={onChoose} />
      <Heatmap table={table} chosen={chosen} onChoose={onChoose} />
    </>
  );
}
