import { sum } from "../platform/answers.ts";
import { whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import type { Counters } from "./counters.ts";

/** The topology's tasks, a partition each: how far they are, and what they set aside. */
export function Tasks({ counters }: { counters: Counters }) {
  const status = counters.topology.value;
  return (
    <Panel
      title="Partitions"
      class="tasks"
      aside={status !== null && <span class="panel-note">{`${status.name}, version ${status.version}`}</span>}
    >
      {status === null ? null : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a part that may scroll must be reachable by keyboard.
        <section class="scroll-x" tabIndex={0} aria-label="Partitions, a row each">
          <table class="rows" data-testid="tasks">
            <thead>
              <tr>
                {["#", "Head", "Applied", "Lag", "Late", "Outbox"].map((title, at) => (
                  <th key={title} scope="col" class={at === 0 ? "num index" : "num"}>
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {status.tasks.map(({ partition, head, applied, lag, late, outbox }) => (
                <tr key={partition}>
                  <th scope="row" class="num">
                    {partition}
                  </th>
                  <td class="num">{whole(sum(head))}</td>
                  <td class="num">{whole(sum(applied))}</td>
                  <td class={`num${lag > 0 ? " busy" : ""}`}>{whole(lag)}</td>
                  <td class="num">{whole(sum(late))}</td>
                  <td class="num">{whole(outbox)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <p class="hint">
        Each partition of the topic <code>flights</code> has a task of its own. Head is how many records the partition has, applied how many
        of them the task has counted. Late ones came after their window had closed: they are counted apart, never dropped in silence. The
        outbox holds results that are yet to be delivered.
      </p>
    </Panel>
  );
}
