import { clock, day, oneDigit, plural } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { HOUR } from "./delays.ts";
import type { DeskRoom } from "./room.ts";

/** The ten most delayed airports of the latest hour, as the stream writes them into the room. */
export function Board({ room }: { room: DeskRoom }) {
  const rows = room.board.value;
  const hour = rows[0]?.hour;
  const worst = Math.max(1, ...rows.map(({ mean }) => mean));
  const connection = room.connection.value;
  return (
    <Panel
      title="Board"
      class="board"
      problem={connection.state === "refused" ? connection.detail : null}
      aside={hour !== undefined && <span class="panel-note">{`${day(hour)}, ${clock(hour)}–${clock(hour + HOUR)}`}</span>}
    >
      {rows.length === 0 ? (
        <p class="empty-note">The ten most delayed airports of the hour appear here once flights arrive.</p>
      ) : (
        <table class="rows" data-testid="board">
          <caption class="visually-hidden">The most delayed airports of the hour</caption>
          <thead>
            <tr>
              <th scope="col" class="num">
                #
              </th>
              <th scope="col">Airport</th>
              <th scope="col">Mean delay</th>
              <th scope="col" class="num">
                Flights
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ rank, airport, mean, count }) => (
              <tr key={rank}>
                <td class="num muted">{Number(rank)}</td>
                <th scope="row">{airport}</th>
                <td class="bar-cell">
                  <span class="bar-fill" style={{ width: `${Math.max(0, (62 * mean) / worst)}%` }} aria-hidden="true" />
                  <span class="bar-text">{oneDigit(mean)} min</span>
                </td>
                <td class="num" title={plural(count, "flight")}>
                  {count}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}
