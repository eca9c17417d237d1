import type { GroupInfo, GroupStatus } from "@skerry/client/groups";
import { useEffect, useState } from "preact/hooks";
import { SYSTEM_GROUP } from "../../../core/wire/names.ts";
import type { PageProps } from "../page.ts";
import type { Paged } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { may, mayAnywhere } from "../platform/may.ts";
import { usePolled } from "../platform/polled.ts";
import { hrefOf } from "../router.ts";
import { whole } from "../ui/format.ts";
import { PageTitle } from "../ui/page-title.tsx";
import { Panel } from "../ui/panel.tsx";
import { ScrollX } from "../ui/scroll.tsx";
import { CreateGroup } from "./create.tsx";
import { levelOf, pathOf } from "./words.ts";

const EVERY_MS = 5_000;
const PAGE = 20;

/** The groups there are, by name, and a way to make one. */
export function Groups({ api, session }: PageProps) {
  const [starts, setStarts] = useState<readonly string[]>([]);
  const after = starts.at(-1) ?? null;
  const query = after === null ? "" : `&after=${encodeURIComponent(after)}`;
  const { value, problem } = usePolled(
    "Groups",
    (signal) => api.get<Paged<"groups", GroupInfo>>(`/v1/groups?limit=${PAGE}${query}`, signal),
    EVERY_MS,
    `after ${after}`,
  );
  return (
    <div class="page">
      <PageTitle title="Groups">
        <p class="muted">
          Keys and values that a majority of replicas agrees on: for locks, elections, settings. They cost nothing while idle.
        </p>
      </PageTitle>
      <Panel title="Groups by name" problem={problem}>
        {value === null ? (
          problem === null && <p class="empty-note">Loading …</p>
        ) : value.groups.length === 0 ? (
          <p class="empty-note">No group yet.{mayAnywhere(session, "groups", "admin") && " Create one below."}</p>
        ) : (
          <Listed api={api} groups={value.groups} />
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
        {may(session, "groups", SYSTEM_GROUP, "read") && (
          <p class="hint">
            Not in this list is the platform's own, <a href={hrefOf("groups", SYSTEM_GROUP)}>{SYSTEM_GROUP}</a>: it holds the directory of
            topics, groups and live topologies.
          </p>
        )}
        {mayAnywhere(session, "groups", "admin") ? (
          <CreateGroup api={api} />
        ) : (
          problem === null && <p class="hint">Your token may not create groups: that needs admin on groups.</p>
        )}
      </Panel>
    </div>
  );
}

const keyOf = ({ name, generation }: GroupInfo): string => `${name}/${generation}`;

function Listed({ api, groups }: { api: Api; groups: readonly GroupInfo[] }) {
  const [looks, look] = useLooks(api, groups);
  return (
    <>
      <ScrollX label="Groups, a row each">
        <table class="rows" data-testid="groups">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" class="num">
                Replicas
              </th>
              <th scope="col">Writes</th>
              <th scope="col" class="num">
                Leader
              </th>
              <th scope="col" class="num">
                Term
              </th>
              <th scope="col" class="num">
                Revision
              </th>
              <th scope="col">Regions</th>
            </tr>
          </thead>
          <tbody>
            {groups.map((group) => (
              <tr key={keyOf(group)}>
                <th scope="row" class="name">
                  <a class="row-link" href={hrefOf("groups", group.name)}>
                    {group.name}
                  </a>
                </th>
                <td class="num">{whole(group.members.length)}</td>
                <Looked look={looks.get(keyOf(group))} />
                <td class="muted">{group.members.map(({ region }) => region ?? "anywhere").join(", ")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollX>
      <p class="hint">
        Level, leader and revision are what the replicas said when this page first showed the group: asking wakes those that sleep, so it is
        not done again and again.{" "}
        <button type="button" class="button button-small" onClick={look}>
          Look again
        </button>
      </p>
    </>
  );
}

type OneLook = GroupStatus | "asked" | "failed" | undefined;

function Looked({ look }: { look: OneLook }) {
  if (look === undefined || typeof look === "string")
    return (
      <td colSpan={4} class="muted">
        {look === "failed" ? "could not be asked" : "asking …"}
      </td>
    );
  return (
    <>
      <td>{levelOf(look)}</td>
      <td class="num">{look.leader ?? "–"}</td>
      <td class="num">{whole(look.term)}</td>
      <td class="num">{whole(look.revision)}</td>
    </>
  );
}

/** Asks the replicas of each group once, and again when told to. */
function useLooks(api: Api, groups: readonly GroupInfo[]): [ReadonlyMap<string, OneLook>, () => void] {
  const [looks, setLooks] = useState<ReadonlyMap<string, OneLook>>(new Map());
  const [turn, setTurn] = useState(0);
  const names = groups.map(keyOf).join("\n");
  useEffect(() => {
    let gone = false;
    const tell = (group: GroupInfo, look: OneLook) => !gone && setLooks((before) => new Map(before).set(keyOf(group), look));
    for (const group of groups) {
      if (turn === 0 && typeof looks.get(keyOf(group)) === "object") continue;
      void api.get<GroupStatus>(pathOf(group.name)).then(
        (status) => tell(group, status),
        () => tell(group, "failed"),
      );
    }
    return () => {
      gone = true;
    };
  }, [names, turn]);
  return [looks, () => setTurn(turn + 1)];
}
