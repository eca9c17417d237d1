import { useState } from "preact/hooks";
import type { PageProps } from "../page.ts";
import type { Paged, RoomListed, RoomStatus } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { usePolled } from "../platform/polled.ts";
import { there } from "../platform/there.ts";
import { hrefOf, place } from "../router.ts";
import { bytes, moment, plural, whole } from "../ui/format.ts";
import { PageTitle } from "../ui/page-title.tsx";
import { Panel } from "../ui/panel.tsx";
import { ScrollX } from "../ui/scroll.tsx";
import { RoomView } from "./room.tsx";

const EVERY_MS = 5_000;
/** Rooms a page shows: each is asked for its state, which wakes it. */
const PAGE = 20;

/** The rooms there are, or one of them. */
export default function RoomsPage(props: PageProps) {
  const [name] = place.value;
  return name === undefined || name === "" ? <Rooms api={props.api} /> : <RoomView key={name} {...props} name={name} />;
}

type Found = { rooms: { room: RoomListed; status: RoomStatus | null }[]; next: string | null };

function Rooms({ api }: { api: Api }) {
  const [starts, setStarts] = useState<readonly string[]>([]);
  const after = starts.at(-1) ?? null;
  const { value, problem } = usePolled("Rooms", (signal) => pageOf(api, after, signal), EVERY_MS, `after ${after}`);
  return (
    <div class="page">
      <PageTitle title="Rooms">
        <p class="muted">A document each, shared by all who are connected. The first connection makes a room.</p>
      </PageTitle>
      <Panel title="Rooms by name" problem={problem}>
        {value === null ? (
          problem === null && <p class="empty-note">Loading …</p>
        ) : value.rooms.length === 0 ? (
          <p class="empty-note">
            No room yet. Connect to one with any client of the y-websocket protocol: the server is{" "}
            <code>{`${location.origin.replace(/^http/, "ws")}/v1/rooms`}</code>, the room any name.
          </p>
        ) : (
          <Listed rooms={value.rooms} />
        )}
        {(starts.length > 0 || value?.next) && (
          <p class="actions actions-below">
            <button type="button" class="button button-small" disabled={starts.length === 0} onClick={() => setStarts(starts.slice(0, -1))}>
              Back
            </button>
            <button type="button" class="button button-small" disabled={!value?.next} onClick={() => setStarts([...starts, value!.next!])}>
              Next
            </button>
          </p>
        )}
      </Panel>
    </div>
  );
}

async function pageOf(api: Api, after: string | null, signal: AbortSignal): Promise<Found> {
  const query = after === null ? "" : `&after=${encodeURIComponent(after)}`;
  const { rooms, next } = await api.get<Paged<"rooms", RoomListed>>(`/v1/rooms?limit=${PAGE}${query}`, signal);
  const states = await Promise.all(rooms.map(({ name }) => there(api.get<RoomStatus>(`/v1/rooms/${encodeURIComponent(name)}`, signal))));
  return { rooms: rooms.map((room, at) => ({ room, status: states[at]! })), next };
}

function Listed({ rooms }: { rooms: Found["rooms"] }) {
  const online = rooms.reduce((total, { status }) => total + (status?.connections ?? 0), 0);
  return (
    <>
      <ScrollX label="Rooms, a row each">
        <table class="rows" data-testid="rooms">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" class="num">
                Connections
              </th>
              <th scope="col" class="num">
                Size
              </th>
              <th scope="col" class="num">
                Journal rows
              </th>
              <th scope="col" class="num">
                Position
              </th>
              <th scope="col">Created</th>
            </tr>
          </thead>
          <tbody>
            {rooms.map(({ room, status }) => (
              <tr key={room.name}>
                <th scope="row" class="name">
                  <a class="row-link" href={hrefOf("rooms", room.name)}>
                    {room.name}
                  </a>
                </th>
                <td class="num">{status === null ? "–" : whole(status.connections)}</td>
                <td class="num">{status === null ? "–" : bytes(status.databaseBytes)}</td>
                <td class="num">{status === null ? "–" : whole(status.journalRows)}</td>
                <td class="num">{status === null ? "–" : whole(status.position)}</td>
                <td class="muted">{moment(room.createdAt)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollX>
      <p class="hint">{plural(online, "connection")} to these rooms now.</p>
    </>
  );
}
