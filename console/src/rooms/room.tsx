import { useState } from "preact/hooks";
import type { PageProps } from "../page.ts";
import type { RoomStatus } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { may } from "../platform/may.ts";
import { usePolled } from "../platform/polled.ts";
import { useRemoval } from "../platform/removal.ts";
import { go, hrefOf } from "../router.ts";
import { Confirm } from "../ui/confirm.tsx";
import { bytes, plural, whole } from "../ui/format.ts";
import { PageTitle } from "../ui/page-title.tsx";
import { Panel } from "../ui/panel.tsx";
import { Tile } from "../ui/tile.tsx";
import { useAction } from "../ui/use-action.ts";

const EVERY_MS = 2_000;
/** Characters of a document that are shown: a page of text, not a megabyte of it. */
const SHOWN = 50_000;

/** One room: who is connected, how large it is, and what stands in it. */
export function RoomView({ api, session, name }: PageProps & { name: string }) {
  const path = `/v1/rooms/${encodeURIComponent(name)}`;
  const { going, remove } = useRemoval(api, path);
  const { value: room, problem } = usePolled("Room", (signal) => api.get<RoomStatus>(path, signal), EVERY_MS, path, going);
  const [deleting, setDeleting] = useState(false);
  return (
    <div class="page">
      <PageTitle title={name} up={{ href: hrefOf("rooms"), title: "Rooms" }}>
        <p class="muted">
          Room
          {room !== null && (
            <>
              , history <code>{room.epoch}</code>
            </>
          )}
        </p>
      </PageTitle>
      {room === null ? (
        <p class={problem === null ? "empty-note" : "problem"} role="status">
          {problem ?? "Loading …"}
        </p>
      ) : (
        <>
          {problem !== null && (
            <p class="problem" role="status">
              {problem}
            </p>
          )}
          <dl class="tiles tiles-six" aria-label="State of the room">
            <Tile id="connections" name="Connections" value={whole(room.connections)}>
              open now
            </Tile>
            <Tile id="size" name="Stored" value={bytes(room.databaseBytes)}>
              in the room's own database
            </Tile>
            <Tile id="snapshot" name="Snapshot" value={bytes(room.snapshotBytes)}>
              the document, compacted
            </Tile>
            <Tile id="journal" name="Journal" value={bytes(room.journalBytes)}>
              {plural(room.journalRows, "row")} since the snapshot
            </Tile>
            <Tile id="position" name="Position" value={whole(room.position)}>
              grows with every commit
            </Tile>
            <Tile id="written" name="Rows written" value={whole(room.rowsWritten)}>
              since the room last woke
            </Tile>
          </dl>
          <Content api={api} path={path} position={room.position} />
          {may(session, "rooms", name, "admin") && (
            <p class="actions">
              <button type="button" class="button" onClick={() => setDeleting(true)}>
                Delete the room …
              </button>
            </p>
          )}
        </>
      )}
      {deleting && (
        <Confirm
          title={`Delete the room “${name}”?`}
          action="Delete the room"
          run={remove}
          onEnd={(done) => {
            setDeleting(false);
            if (done) go("rooms");
          }}
        >
          <p>
            Its document will be gone for good, and {plural(room?.connections ?? 0, "connection")} will be closed. Whoever connects to this
            name again makes a new, empty room.
          </p>
        </Confirm>
      )}
    </div>
  );
}

/** The document as JSON, read when asked: it may be large. */
function Content({ api, path, position }: { api: Api; path: string; position: number }) {
  const [read, setRead] = useState<{ text: string; position: number } | null>(null);
  const { busy, problem, run } = useAction();
  const load = () =>
    run(async () => {
      const text = JSON.stringify(await api.get<unknown>(`${path}/doc`), null, 2);
      setRead({ text, position });
    });
  return (
    <Panel
      title="Document"
      problem={problem}
      aside={
        <button type="button" class="button button-small" disabled={busy} onClick={load}>
          {read === null ? "Read it as JSON" : "Read it again"}
        </button>
      }
    >
      {read === null ? (
        <p class="empty-note">All shared types of the document, by name. It is read only when you ask.</p>
      ) : (
        <>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a part that scrolls must be reachable by keyboard. */}
          <section class="json" tabIndex={0} aria-label="Document as JSON">
            <pre data-testid="document">{read.text.length > SHOWN ? `${read.text.slice(0, SHOWN)}\n…` : read.text}</pre>
          </section>
          <p class="hint" role="status">
            {read.text.length > SHOWN && `The first ${whole(SHOWN)} of ${whole(read.text.length)} characters. `}
            {position === read.position ? "As it is now." : "It has changed since it was read."}
          </p>
        </>
      )}
    </Panel>
  );
}
