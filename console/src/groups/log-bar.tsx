import type { ReplicaState } from "@skerry/client/groups";
import { whole } from "../ui/format.ts";

/**
 * A replica's log on the scale of the longest: what is forgotten behind a checkpoint, what is applied, committed, and not agreed on yet.
 * Entries begin to be drawn where the longest has something to tell apart.
 */
export function LogBar({ state, first, last }: { state: ReplicaState; first: number; last: number }) {
  const span = Math.max(1, last - first + 1);
  const at = (index: number) => (100 * Math.max(0, Math.min(span, index - first + 1))) / span;
  const kept = at(state.firstIndex - 1);
  const [applied, committed, end] = [at(state.applied), at(state.committed), at(state.index)];
  return (
    <span class="log-bar" aria-hidden="true" title={`${whole(state.index - state.firstIndex + 1)} entries kept`}>
      <i class="log-applied" style={{ left: `${kept}%`, width: `${Math.max(0, applied - kept)}%` }} />
      <i
        class="log-committed"
        style={{ left: `${Math.max(kept, applied)}%`, width: `${Math.max(0, committed - Math.max(kept, applied))}%` }}
      />
      <i class="log-open" style={{ left: `${Math.max(kept, committed)}%`, width: `${Math.max(0, end - Math.max(kept, committed))}%` }} />
    </span>
  );
}
