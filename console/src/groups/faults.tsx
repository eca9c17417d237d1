import type { Group, GroupStatus } from "@skerry/client/groups";
import { useState } from "preact/hooks";
import { errorOf } from "../../../core/wire/errors.ts";
import type { Api } from "../platform/api.ts";
import { whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { type Action, useAction } from "../ui/use-action.ts";
import { cutsOf, linkOf } from "./changes.ts";
import { pathOf } from "./words.ts";

type Plan = { hang?: boolean; cut?: number[]; delay?: number; drop?: number };

export type FaultActions = {
  action: Action;
  hang(id: number, hang: boolean): Promise<void>;
  delay(id: number, ms: number): Promise<void>;
  /** Cuts a link at both of its ends, or joins it. */
  link(a: number, b: number, cut: boolean): Promise<void>;
  healAll(): Promise<void>;
};

/** Breaks replicas on purpose: only where the deployment takes faults, and only by the admin key. */
export function useFaults(api: Api, status: GroupStatus | null, onChange: () => void): FaultActions {
  const action = useAction();
  const members = status?.status ?? [];
  const tell = (id: number, plan: Plan) => api.send("POST", `${pathOf(status!.name)}/members/${id}/fault`, plan);
  const run = (work: () => Promise<unknown>) =>
    action.run(async () => {
      try {
        await work();
      } finally {
        onChange();
      }
    });
  const cutOf = (id: number) => new Set(members.find((member) => member.id === id)?.state?.faults?.cut ?? []);
  const end = (id: number, other: number, cut: boolean) => {
    const others = cutOf(id);
    if (cut) others.add(other);
    else others.delete(other);
    return tell(id, { cut: [...others] });
  };
  return {
    action,
    hang: (id, hang) => run(() => tell(id, { hang })),
    delay: (id, ms) => run(() => tell(id, { delay: ms })),
    link: (a, b, cut) => run(() => Promise.all([end(a, b, cut), end(b, a, cut)])),
    healAll: () => run(() => Promise.all(members.map(({ id }) => tell(id, { hang: false, cut: [], delay: 0, drop: 0 })))),
  };
}

const DELAYS = [0, 100, 500, 2_000];

type FaultsProps = { group: Group; status: GroupStatus; faults: FaultActions; onAsked: () => void };

/** What to break, and a question that has the replicas notice: a group that nobody asks does nothing, so it elects nobody either. */
export function Faults({ group, status, faults, onAsked }: FaultsProps) {
  const { busy, problem } = faults.action;
  const broken = status.status.some(({ state }) => state?.faults !== null && state !== null);
  const cuts = [...cutsOf(status)];
  return (
    <Panel title="Break it on purpose" problem={problem} aside={<span class="panel-note">development only</span>}>
      <ul class="faults" data-testid="faults">
        {status.status.map(({ id, state }) => {
          const hung = state?.faults?.hang === true;
          const delay = state?.faults?.delay ?? 0;
          return (
            <li key={id}>
              <b>Replica {id}</b>
              <button type="button" class="button button-small" aria-pressed={hung} disabled={busy} onClick={() => faults.hang(id, !hung)}>
                {hung ? `Let ${id} answer again` : `Hang ${id}`}
              </button>
              <label>
                <span class="visually-hidden">Calls of replica {id}</span>
                <select
                  class="input input-small"
                  value={String(delay)}
                  disabled={busy}
                  onChange={(event) => void faults.delay(id, Number(event.currentTarget.value))}
                >
                  {[...new Set([...DELAYS, delay])].map((ms) => (
                    <option key={ms} value={String(ms)}>
                      {ms === 0 ? "calls at once" : `calls ${ms} ms late`}
                    </option>
                  ))}
                </select>
              </label>
            </li>
          );
        })}
      </ul>
      {status.status.length > 1 && <Links status={status} cuts={cuts} faults={faults} />}
      <div class="actions actions-below">
        <Ask group={group} onAsked={onAsked} />
        <button type="button" class="button" disabled={busy || !broken} onClick={() => faults.healAll()}>
          Heal all
        </button>
      </div>
      <p class="hint">
        A leader that hangs is missed by the first request that meets it, not before: an idle group has no timers. Faults live in the
        replicas' memory; one that is put to sleep is healed.
      </p>
    </Panel>
  );
}

function Links({ status, cuts, faults }: { status: GroupStatus; cuts: string[]; faults: FaultActions }) {
  const ids = status.status.map(({ id }) => id);
  const links = ids.flatMap((a, at) => ids.slice(at + 1).map((b) => ({ a, b })));
  const [chosen, setChosen] = useState(0);
  const { a, b } = links[Math.min(chosen, links.length - 1)]!;
  const isCut = cuts.includes(linkOf(a, b));
  return (
    <div class="actions actions-below">
      <label>
        <span class="visually-hidden">Link</span>
        <select class="input input-small" value={String(chosen)} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
          {links.map((link, at) => (
            <option key={linkOf(link.a, link.b)} value={String(at)}>
              link {linkOf(link.a, link.b)}
            </option>
          ))}
        </select>
      </label>
      <button type="button" class="button button-small" disabled={faults.action.busy} onClick={() => faults.link(a, b, !isCut)}>
        {isCut ? "Join it again" : "Cut it"}
      </button>
      <span class="muted">{cuts.length === 0 ? "No link is cut." : `Cut: ${cuts.join(", ")}.`}</span>
    </div>
  );
}

/** A read that only the leader may answer, and how long it took: through an election, where there has to be one. */
function Ask({ group, onAsked }: { group: Group; onAsked: () => void }) {
  const [asking, setAsking] = useState(false);
  const [said, setSaid] = useState<string | null>(null);
  const ask = async () => {
    setAsking(true);
    setSaid(null);
    onAsked();
    const began = performance.now();
    const took = () => `${whole(performance.now() - began)} ms`;
    try {
      const { revision } = await group.range({ prefix: "" }, { countOnly: true, limit: 1 });
      setSaid(`Answered after ${took()}, at revision ${revision}.`);
    } catch (thrown) {
      setSaid(errorOf(thrown).message);
    } finally {
      setAsking(false);
      onAsked();
    }
  };
  return (
    <>
      <button type="button" class="button button-main" disabled={asking} onClick={ask}>
        {asking ? "Asking …" : "Ask the leader"}
      </button>
      <span role="status" data-testid="asked">
        {said}
      </span>
    </>
  );
}
