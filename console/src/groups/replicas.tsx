import type { GroupStatus } from "@skerry/client/groups";
import { useState } from "preact/hooks";
import { SYSTEM_GROUP } from "../../../core/wire/names.ts";
import type { Api } from "../platform/api.ts";
import { Confirm } from "../ui/confirm.tsx";
import { whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { ScrollX } from "../ui/scroll.tsx";
import { useAction } from "../ui/use-action.ts";
import { AddMember } from "./add-member.tsx";
import { LogBar } from "./log-bar.tsx";
import { pathOf, REGIONS, STANDINGS, standingOf } from "./words.ts";

type Member = GroupStatus["status"][number];
type ReplicasProps = {
  api: Api;
  status: GroupStatus;
  /** Whether who looks may change the members. */
  mayChange: boolean;
  /** Hears of every change that was made here. */
  onChange: () => void;
};

const COLUMNS = ["Log", "First", "Last", "Commit", "Applied"];

/** The replicas of a group, a row each: what each says of itself, and what may be done with it. */
export function Replicas({ api, status, mayChange, onChange }: ReplicasProps) {
  const { busy, problem, run } = useAction();
  const [removing, setRemoving] = useState<Member | null>(null);
  const act = (work: () => Promise<unknown>) =>
    run(async () => {
      try {
        await work();
      } finally {
        onChange();
      }
    });
  const states = status.status.map(({ state }) => state).filter((state) => state !== null);
  const last = Math.max(1, ...states.map(({ index }) => index));
  const first = Math.max(1, Math.min(last, ...states.map(({ firstIndex }) => firstIndex)));
  const path = pathOf(status.name);
  return (
    <Panel title="Replicas" problem={problem} aside={<span class="panel-note">as each says itself</span>}>
      <ScrollX label="Replicas, a row each">
        <table class="rows replicas" data-testid="replicas">
          <thead>
            <tr>
              <th scope="col" class="num index">
                #
              </th>
              <th scope="col">Role</th>
              <th scope="col" class="num">
                Term
              </th>
              {COLUMNS.map((title) => (
                <th key={title} scope="col" class={title === "Log" ? "" : "num"}>
                  {title}
                </th>
              ))}
              <th scope="col">Place</th>
              <th scope="col" class="num">
                Incarnation
              </th>
              <th scope="col" class="num">
                Rows written
              </th>
              {mayChange && (
                <th scope="col">
                  <span class="visually-hidden">What to do</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {status.status.map((member) => (
              <tr key={member.id}>
                <th scope="row" class="num">
                  {member.id}
                </th>
                <td>
                  <Role member={member} heard={heardBy(status, member.id)} />
                </td>
                <Numbers member={member} first={first} last={last} />
                {mayChange && (
                  <td>
                    <span class="actions row-actions">
                      {!member.learner && member.id !== status.leader && (
                        <button
                          type="button"
                          class="button button-small"
                          disabled={busy}
                          onClick={() => act(() => api.send("POST", `${path}/transfer`, { to: member.id }))}
                        >
                          Make {member.id} the leader
                        </button>
                      )}
                      {member.learner && (
                        <button
                          type="button"
                          class="button button-small"
                          disabled={busy}
                          onClick={() => act(() => api.send("POST", `${path}/members/${member.id}/promote`))}
                        >
                          Let {member.id} vote
                        </button>
                      )}
                      {status.status.length > 1 && (
                        <button type="button" class="button button-small" disabled={busy} onClick={() => setRemoving(member)}>
                          Remove {member.id} …
                        </button>
                      )}
                    </span>
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollX>
      <p class="hint">
        The bar is the log: <i class="log-key log-applied" /> applied, <i class="log-key log-committed" /> agreed on and not applied yet,{" "}
        <i class="log-key log-open" /> not known to be agreed on. What stands before <i>first</i> is in the checkpoint. Rows are those
        written since the replica last woke; its incarnation grows with each wake.
      </p>
      {mayChange ? (
        <AddMember api={api} path={path} onChange={onChange} />
      ) : status.name === SYSTEM_GROUP ? null : (
        <p class="hint">Your token may look at this group's members, not change them: that needs admin on groups “{status.name}”.</p>
      )}
      {removing !== null && (
        <Confirm
          title={`Remove replica ${removing.id}?`}
          action={`Remove replica ${removing.id}`}
          run={() => api.send("DELETE", `${path}/members/${removing.id}`)}
          onEnd={() => {
            setRemoving(null);
            onChange();
          }}
        >
          <p>
            What it holds will be gone; the others have it still.{" "}
            {removing.learner
              ? "It does not vote."
              : `${whole(status.status.filter(({ learner }) => !learner).length - 1)} will vote after that. Its number is never used again.`}
          </p>
        </Confirm>
      )}
    </Panel>
  );
}

/** Whether the leader hears a replica; null where nobody can say. */
function heardBy(status: GroupStatus, id: number): boolean | null {
  const leading = status.status.find((member) => member.id === status.leader)?.state ?? null;
  const peer = leading?.peers.find((each) => each.id === id);
  return peer === undefined ? null : !peer.down;
}

function Role({ member, heard }: { member: Member; heard: boolean | null }) {
  const standing = standingOf(member);
  return (
    <>
      <span class={`tag standing-${standing}`}>{STANDINGS[standing]}</span>
      {heard === false && standing !== "silent" && standing !== "hung" && <span class="muted"> not heard by the leader</span>}
      {member.state?.halted && <span class="bad"> {member.state.halted}</span>}
      {member.state?.regressed && <span class="bad"> its storage was rolled back: remove it and add another</span>}
    </>
  );
}

function Numbers({ member: { state, region }, first, last }: { member: Member; first: number; last: number }) {
  const where = region === null ? "anywhere" : REGIONS[region];
  if (state === null)
    return (
      <>
        <td class="num">–</td>
        <td colSpan={5} class="muted">
          It did not answer within a second.
        </td>
        <td class="muted">{where}</td>
        <td class="num">–</td>
        <td class="num">–</td>
      </>
    );
  return (
    <>
      <td class="num">{whole(state.term)}</td>
      <td>
        <LogBar state={state} first={first} last={last} />
      </td>
      {[state.firstIndex, state.index, state.committed, state.applied].map((number, at) => (
        <td key={COLUMNS[at + 1]} class="num">
          {whole(number)}
        </td>
      ))}
      <td>
        {state.place === "" ? <span class="muted">{where}, not measured</span> : `${state.place} `}
        {state.place !== "" && <span class="muted">({where})</span>}
      </td>
      <td class="num">{whole(state.incarnation)}</td>
      <td class="num">{whole(state.rows)}</td>
    </>
  );
}
