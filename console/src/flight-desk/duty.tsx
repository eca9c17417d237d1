import { useEffect, useMemo } from "preact/hooks";
import type { PageProps } from "../page.ts";
import { may } from "../platform/may.ts";
import { hrefOf } from "../router.ts";
import { plural, timeOfDay } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { useAction } from "../ui/use-action.ts";
import { Duty, deskOf, GROUP, TTL } from "./duty.ts";
import { ownName } from "./people.ts";
import { DeskThresholds } from "./thresholds.tsx";

/** Who has the desk: an election of the group `flight-desk`, won by whoever came first and lives. */
export function DutyPanel({ api, session }: PageProps) {
  const duty = useMemo(() => new Duty(api, session), [api, session]);
  useEffect(() => () => duty.close(), [duty]);
  const desk = deskOf(api);
  const { busy, problem, run } = useAction();
  const state = duty.state.value;
  return (
    <Panel
      title="Duty officer"
      class="duty"
      problem={problem ?? duty.problem.value ?? desk.lost.value}
      aside={
        state === "open" && (
          <span class="panel-note">
            by election in the group <a href={hrefOf("groups", GROUP)}>{GROUP}</a>
          </span>
        )
      }
    >
      {state === "absent" ? (
        <div class="actions">
          <span class="muted">Whoever takes the desk is elected in a group, “{GROUP}”, of three replicas. It is not there yet.</span>
          {may(session, "groups", GROUP, "admin") ? (
            <button type="button" class="button button-small" disabled={busy} onClick={() => run(() => duty.create())}>
              {busy ? "Creating …" : "Create it"}
            </button>
          ) : (
            <span class="muted">Your token may not create it.</span>
          )}
        </div>
      ) : state === "open" ? (
        <>
          <div class="actions">
            <Officers duty={duty} mine={desk.key.value} />
            {may(session, "groups", GROUP, "write") ? (
              <Buttons desk={desk} taken={duty.officers.value.length > 0} run={run} />
            ) : (
              <span class="muted">Your token may see who has it, not take it.</span>
            )}
          </div>
          <DeskThresholds duty={duty} mayChange={may(session, "groups", GROUP, "write")} />
        </>
      ) : (
        duty.problem.value === null && <p class="empty-note">Loading …</p>
      )}
    </Panel>
  );
}

function Officers({ duty, mine }: { duty: Duty; mine: string | null }) {
  const [officer, ...waiting] = duty.officers.value;
  return (
    <span data-testid="duty" role="status">
      {officer === undefined ? (
        "Nobody has the desk."
      ) : (
        <>
          <b>{officer.key === mine ? `You (${officer.name})` : officer.name}</b>
          {officer.since !== null && ` since ${timeOfDay(officer.since)}`}
          {waiting.length > 0 && <span class="muted">, {plural(waiting.length, "other")} waiting</span>}
        </>
      )}
    </span>
  );
}

type ButtonsProps = { desk: ReturnType<typeof deskOf>; taken: boolean; run: (work: () => Promise<void>) => Promise<void> };

function Buttons({ desk, taken, run }: ButtonsProps) {
  const mine = desk.mine.value;
  if (mine === "none")
    return (
      // Waiting for the desk is no work of the panel's: it may take hours.
      <button type="button" class="button button-small button-main" onClick={() => void run(() => desk.take(ownName()))}>
        {taken ? "Stand by for the desk" : "Take the desk"}
      </button>
    );
  return (
    <>
      <button type="button" class="button button-small" onClick={() => void run(() => desk.leave())}>
        {mine === "holding" ? "Give the desk back" : "Do not wait for it"}
      </button>
      {mine === "holding" && <span class="muted">Kept while this tab lives; free {TTL} seconds after it was last heard.</span>}
      {mine === "standing" && <span class="muted">It is yours when those before you are gone.</span>}
    </>
  );
}
