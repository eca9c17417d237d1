import type { GroupStatus } from "@skerry/client/groups";
import { useState } from "preact/hooks";
import { SYSTEM_GROUP } from "../../../core/wire/names.ts";
import type { PageProps } from "../page.ts";
import { may } from "../platform/may.ts";
import { go, hrefOf } from "../router.ts";
import { Confirm } from "../ui/confirm.tsx";
import { bytes, plural, whole } from "../ui/format.ts";
import { PageTitle } from "../ui/page-title.tsx";
import { Panel } from "../ui/panel.tsx";
import { Tile } from "../ui/tile.tsx";
import { Drawing } from "./drawing.tsx";
import { Faults, useFaults } from "./faults.tsx";
import { useHandle } from "./handle.ts";
import { Happened } from "./happened.tsx";
import { Keys } from "./keys.tsx";
import { type Look, PACE, useLook } from "./look.ts";
import { Replicas } from "./replicas.tsx";
import { Snapshot } from "./snapshot.tsx";
import { levelOf, pathOf } from "./words.ts";

/** One group: its replicas as they are, what is in it, and what may be done with it. */
export function GroupView({ api, session, name }: PageProps & { name: string }) {
  const [paused, setPaused] = useState(false);
  // While it is being deleted nobody asks for it: the answer would be that it is not there.
  const [going, setGoing] = useState(false);
  const look = useLook(api, name, paused || going);
  const group = useHandle(api, name);
  const { status, problem } = look;
  const [deleting, setDeleting] = useState(false);
  const mayChange = may(session, "groups", name, "admin");
  const own = name === SYSTEM_GROUP;
  const faults = useFaults(api, status, look.now);
  // Who has the admin key: the faults' route takes no token.
  const breaks = session.admin && status?.faults === true;
  const remove = async () => {
    setGoing(true);
    group.close();
    try {
      await api.send("DELETE", pathOf(name));
    } catch (thrown) {
      setGoing(false);
      throw thrown;
    }
  };
  return (
    <div class="page">
      <PageTitle title={name} up={{ href: hrefOf("groups"), title: "Groups" }}>
        <p class="muted">
          {own ? "The platform's own group" : "Group"}
          {status !== null && ` of ${plural(status.status.length, "replica")}, generation ${status.generation}`}
        </p>
      </PageTitle>
      {problem !== null && (
        <p class="problem" role="status">
          {problem}
        </p>
      )}
      {status === null ? (
        problem === null && (
          <p class="empty-note" role="status">
            Loading …
          </p>
        )
      ) : (
        <>
          {own && (
            <p class="hint">
              It holds the directory: a key for each topic, each group and each topology's live version. It is here to be looked at: only
              the platform writes to it, and its members stay.
            </p>
          )}
          <Totals status={status} />
          <div class="columns columns-group">
            <Panel
              title="Who leads, who follows"
              class="quorum-panel"
              aside={
                <button type="button" class="button button-small" aria-pressed={paused} onClick={() => setPaused(!paused)}>
                  {paused ? "Look on" : "Stop looking"}
                </button>
              }
            >
              <Drawing status={status} onLink={breaks ? (a, b, cut) => void faults.link(a, b, cut) : null} />
              <Looking look={look} paused={paused} replicas={status.status.length} />
            </Panel>
            <div class="stack">
              {breaks && <Faults group={group} status={status} faults={faults} onAsked={look.now} />}
              <Happened happened={look.happened} />
            </div>
          </div>
          <Replicas api={api} status={status} mayChange={mayChange} onChange={look.now} />
          {!going && (
            <Keys
              api={api}
              group={group}
              term={status.term}
              revision={status.revision}
              mayWrite={may(session, "groups", name, "write")}
              generation={status.generation}
              onChange={look.now}
              onAhead={look.again}
            />
          )}
          {mayChange && (
            <>
              <Snapshot api={api} name={name} revision={status.revision} />
              <p class="actions">
                <button type="button" class="button" onClick={() => setDeleting(true)}>
                  Delete the group …
                </button>
              </p>
            </>
          )}
        </>
      )}
      {deleting && (
        <Confirm
          title={`Delete the group “${name}”?`}
          action="Delete the group"
          run={remove}
          onEnd={(done) => {
            setDeleting(false);
            if (done) go("groups");
          }}
        >
          <p>
            Everything in it will be gone for good, on all of its {plural(status?.status.length ?? 0, "replica")}; locks and elections that
            are held in it end, and sockets are closed. A new group of the same name begins empty.
          </p>
        </Confirm>
      )}
    </div>
  );
}

function Totals({ status }: { status: GroupStatus }) {
  const most = status.status.map(({ state }) => state).filter((state) => state !== null);
  const size = Math.max(0, ...most.map((state) => state.bytes));
  const leases = Math.max(0, ...most.map((state) => state.leases));
  const leads = status.status.find(({ id }) => id === status.leader)?.state;
  const answering = most.filter((state) => state.faults?.hang !== true).length;
  return (
    <dl class="tiles tiles-six" aria-label="State of the group">
      <Tile id="leader" name="Leader" value={status.leader === null ? "none" : `replica ${status.leader}`}>
        {status.leader === null
          ? "the next request has one elected"
          : `in term ${whole(status.term)}${leads?.faults?.hang ? ", and hangs" : ""}`}
      </Tile>
      <Tile id="revision" name="Revision" value={whole(status.revision)}>
        grows with every write
      </Tile>
      <Tile id="level" name="Writes are" value={status.level ?? "–"} {...(status.level === null && { tone: "busy" as const })}>
        {levelNote(status)}
      </Tile>
      <Tile
        id="answering"
        name="Answering"
        value={`${answering} of ${status.status.length}`}
        {...(!status.quorum && { tone: "busy" as const })}
      >
        {status.quorum ? "a majority" : "no majority: writes are refused"}
      </Tile>
      <Tile id="size" name="Size" value={bytes(size)}>
        in the memory of each replica
      </Tile>
      <Tile id="leases" name="Leases" value={whole(leases)}>
        {leases === 0 ? "no alarm is set" : "one alarm, for the next to end"}
      </Tile>
    </dl>
  );
}

function levelNote(status: GroupStatus): string {
  if (status.level === null) return levelOf(status);
  if (status.level === "single") return "durable in one failure domain";
  return status.placement === "simulated" ? "simulated: all run in one place" : "no failure domain has a majority";
}

function Looking({ look, paused, replicas }: { look: Look; paused: boolean; replicas: number }) {
  return (
    <p class="hint">
      {paused ? (
        "Nobody is asked now; the drawing is as it was."
      ) : (
        <>
          Looking costs: each time one request and {plural(replicas, "call")} to objects, which wakes a replica that sleeps and no other. It
          is done every {PACE.calm / 1000} seconds, every {PACE.busy / 1000} while something changes, and only while this page is seen.
        </>
      )}{" "}
      <button type="button" class="button button-small" disabled={paused} onClick={look.now}>
        Look closely
      </button>
    </p>
  );
}
