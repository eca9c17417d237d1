import { Panel } from "../ui/panel.tsx";
import { clockOf } from "./clock.ts";
import type { Happened as Line } from "./look.ts";

/** What was seen to happen to the replicas since the page was opened, the newest first. */
export function Happened({ happened }: { happened: readonly Line[] }) {
  return (
    <Panel title="What happened" class="happened">
      {happened.length === 0 ? (
        <p class="empty-note">Nothing since this page was opened. Elections, silences and new members appear here as they are seen.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a part that scrolls must be reachable by keyboard.
        <div class="happened-scroll" tabIndex={0} role="log" aria-label="What happened, newest first">
          <ol data-testid="happened">
            {happened.map(({ id, at, text }) => (
              <li key={id}>
                <time class="muted">{clockOf(at)}</time> {text}
              </li>
            ))}
          </ol>
        </div>
      )}
    </Panel>
  );
}
