import { useState } from "preact/hooks";
import type { PageProps } from "../page.ts";
import type { TopicStatus } from "../platform/answers.ts";
import { may } from "../platform/may.ts";
import { usePolled } from "../platform/polled.ts";
import { useRemoval } from "../platform/removal.ts";
import { go, hrefOf } from "../router.ts";
import { Confirm } from "../ui/confirm.tsx";
import { moment, plural, whole } from "../ui/format.ts";
import { PageTitle } from "../ui/page-title.tsx";
import { Panel } from "../ui/panel.tsx";
import { ScrollX } from "../ui/scroll.tsx";
import { Produce } from "./produce.tsx";
import { Tail } from "./tail.tsx";

const EVERY_MS = 2_000;

/** One topic: its partitions, what arrives in it, and a way to put something there by hand. */
export function TopicView({ api, session, name }: PageProps & { name: string }) {
  const path = `/v1/topics/${encodeURIComponent(name)}`;
  const { going, remove } = useRemoval(api, path);
  const { value: topic, problem } = usePolled("Topic", (signal) => api.get<TopicStatus>(path, signal), EVERY_MS, path, going);
  const [deleting, setDeleting] = useState(false);
  const records = topic?.extents.reduce((total, { head }) => total + head, 0) ?? 0;
  return (
    <div class="page">
      <PageTitle title={name} up={{ href: hrefOf("streams"), title: "Streams" }}>
        <p class="muted">
          {topic === null ? "Topic" : `Topic of ${plural(topic.partitions, "partition")}, ${plural(records, "record")} in all`}
          {topic !== null && topic.readBy.length > 0 && ", read by "}
          {topic?.readBy.map((reader) => (
            <a key={reader} href={hrefOf("streams", "topologies", reader)}>
              {reader}
            </a>
          ))}
        </p>
      </PageTitle>
      {topic === null ? (
        <p class={problem === null ? "empty-note" : "problem"} role="status">
          {problem ?? "Loading …"}
        </p>
      ) : (
        <>
          <div class="columns columns-tail">
            {going ? <div /> : <Tail api={api} topic={topic} />}
            <div class="stack">
              {may(session, "streams", name, "write") ? (
                <Produce api={api} topic={topic} />
              ) : (
                <Panel title="Produce by hand">
                  <p class="empty-note">Your token may read this topic, not write to it.</p>
                </Panel>
              )}
              <Extents topic={topic} problem={problem} />
            </div>
          </div>
          {may(session, "streams", name, "admin") && (
            <p class="actions">
              <button type="button" class="button" onClick={() => setDeleting(true)}>
                Delete the topic …
              </button>
            </p>
          )}
          {deleting && (
            <Confirm
              title={`Delete the topic “${name}”?`}
              action="Delete the topic"
              run={remove}
              onEnd={(done) => {
                setDeleting(false);
                if (done) go("streams");
              }}
            >
              <p>
                Its {plural(records, "record")} will be gone for good. Tables made from them stay as they are; a new topic of the same name
                begins empty.
              </p>
            </Confirm>
          )}
        </>
      )}
    </div>
  );
}

function Extents({ topic, problem }: { topic: TopicStatus; problem: string | null }) {
  return (
    <Panel title="Partitions" problem={problem} aside={<span class="panel-note">created {moment(topic.createdAt)}</span>}>
      <ScrollX label="Partitions, a row each">
        <table class="rows" data-testid="extents">
          <thead>
            <tr>
              {["#", "Base", "Head", "Kept"].map((title, at) => (
                <th key={title} scope="col" class={at === 0 ? "num index" : "num"}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {topic.extents.map(({ partition, base, head }) => (
              <tr key={partition}>
                <th scope="row" class="num">
                  {partition}
                </th>
                <td class="num">{whole(base)}</td>
                <td class="num">{whole(head)}</td>
                <td class="num">{whole(head - base)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollX>
      <p class="hint">
        {topic.key === null ? (
          "Records have no key: each batch goes to one partition, in turn."
        ) : (
          <>
            Records go to partitions by <code>{topic.key}</code>; those of one key stay in order.
          </>
        )}{" "}
        {topic.timestamp === null ? (
          "Their time is that of the append."
        ) : (
          <>
            Their time is <code>{topic.timestamp}</code>.
          </>
        )}
      </p>
    </Panel>
  );
}
