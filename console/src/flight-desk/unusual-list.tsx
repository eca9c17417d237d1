import { dayClock, plural, whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import type { UnusualFlights } from "./unusual.ts";

/** More than this nobody scrolls through; the number above says how many there were. */
const SHOWN = 60;

/** Flights that the model found unusual, the newest first. */
export function UnusualList({ unusual }: { unusual: UnusualFlights }) {
  const count = unusual.count.value;
  const flights = unusual.newest.value.slice(0, SHOWN);
  return (
    <Panel
      title="Unusual flights"
      class="unusual"
      problem={unusual.problem.value}
      aside={count > 0 && <span class="panel-note">{plural(count, "flight")}, newest first</span>}
    >
      {flights.length === 0 ? (
        <p class="empty-note">A model scores every flight as it arrives; those above the threshold appear here.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a part that scrolls must be reachable by keyboard.
        <section class="scroll" tabIndex={0} aria-label="Unusual flights, newest first">
          <table class="rows" data-testid="unusual-list">
            <thead>
              <tr>
                <th scope="col">Departure</th>
                <th scope="col">Route</th>
                <th scope="col" class="num">
                  Delay
                </th>
                <th scope="col">Score</th>
              </tr>
            </thead>
            <tbody>
              {flights.map(({ seq, id, date, origin, destination, delay, distance, score }) => (
                <tr key={seq} title={`${id}, ${whole(distance)} miles`}>
                  <td class="muted">{dayClock(date)}</td>
                  <th scope="row">
                    {origin}
                    <span class="arrow" aria-hidden="true">
                      {" → "}
                    </span>
                    <span class="visually-hidden"> to </span>
                    {destination}
                  </th>
                  <td class="num">{delay < 0 ? `${whole(-delay)} min early` : `${whole(delay)} min`}</td>
                  <td class="bar-cell">
                    <span class="score" style={{ "--score": score }} aria-hidden="true" />
                    <span class="bar-text">{score.toFixed(2)}</span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </Panel>
  );
}
