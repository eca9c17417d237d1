import type { Answer } from "./answer.ts";
import { checkTopicConfig, type GoingLive, type LiveTopology, type TopicConfig, type TopicMeta, type WantedTopic } from "./directory.ts";
import { ATTEMPTS, contended, type EntryRecord, type EntryStore, liveOf, of, topicOf } from "./entries.ts";
import { SkerryError } from "./errors.ts";
import { checkName } from "./names.ts";

/** A transaction has room for 128 operations. */
const MAX_TOPICS = 100;

/** {@link DirectoryPort.goLive} over a store: read everything, decide, and write all of it or nothing. */
export async function goLive(
  store: EntryStore,
  now: () => number,
  name: string,
  wanted: GoingLive,
): Promise<Answer<{ topology: LiveTopology; created: TopicMeta[] }>> {
  const topics = wanted.topics.map((topic) => ({ name: checkName("topic", topic.name), config: checkTopicConfig(topic.config) }));
  if (topics.length > MAX_TOPICS) throw new SkerryError("bad_request", `A topology reads and writes at most ${MAX_TOPICS} topics.`);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const [before, ...found] = await Promise.all([
      store.get("topology", name),
      ...topics.map((topic) => store.get("topic", topic.name).then(({ value }) => ({ topic, entry: value }))),
    ]);
    const present = before.value === null ? null : liveOf(before.value);
    refuse(name, present?.live ?? null, wanted);
    const lacking = found.filter(({ entry }) => entry === null || entry.deletedAt !== null);
    const there = found.flatMap(({ topic, entry }) => (entry === null || entry.deletedAt !== null ? [] : [{ topic, entry }]));
    if (!wanted.adopt) for (const each of there) compare(each.topic, topicOf(each.entry));
    // Topics that somebody deleted since stay so until an output needs them, unless it is asked for by name.
    if (present?.live === wanted.live && (wanted.adopt || lacking.length === 0)) return of({ topology: present, created: [] }, before);

    const at = now();
    const made = lacking.map(({ topic, entry }) => entryOf(topic, entry, at));
    const config = {
      live: wanted.live,
      topics: topics.map((topic) => topic.name),
      since: present?.live === wanted.live ? present.since : at,
    };
    const entry: EntryRecord = {
      ...{ kind: "topology", name, version: (before.value?.version ?? 0) + 1, generation: 1 },
      ...{ createdAt: before.value?.createdAt ?? at, deletedAt: null, config: JSON.stringify(config) },
    };
    const told = await store.put(
      [entry, ...made],
      there.map((each) => each.entry),
    );
    if (told.value) return of({ topology: liveOf(entry), created: made.map(topicOf) }, { ...told, rows: told.rows + before.rows });
  }
  throw contended("topology", name);
}

/** Throws `conflict` where another version is live than may be. */
function refuse(name: string, live: number | null, wanted: GoingLive): void {
  if (wanted.instead !== undefined && wanted.instead !== live) {
    const known = (version: number | null) => (version === null ? "none" : `version ${version}`);
    throw new SkerryError("conflict", `Of the topology "${name}" ${known(live)} is live, not ${known(wanted.instead)}: look again.`, {
      extra: { live },
    });
  }
  if (wanted.adopt && live !== null && live > wanted.live)
    throw new SkerryError(
      "conflict",
      `Version ${live} of the topology "${name}" is live, and this deployment has version ${wanted.live}. To go back: PUT /v1/topologies/${encodeURIComponent(name)}/live.`,
      { extra: { live } },
    );
}

/** How far ahead of now a topic takes records is its owner's affair; how they are read and placed is not. */
function compare({ name, config }: WantedTopic, existing: TopicMeta): void {
  const differs = (["partitions", "key", "timestamp", "contentType"] satisfies (keyof TopicConfig)[]).filter(
    (member) => config[member] !== existing[member],
  );
  if (differs.length === 0) return;
  const said = differs.map((member) => `"${member}" is ${JSON.stringify(existing[member])}, not ${JSON.stringify(config[member])}`);
  throw new SkerryError("conflict", `The topic "${name}" exists with another configuration: ${said.join(", ")}.`, { extra: { existing } });
}

function entryOf({ name, config }: WantedTopic, before: EntryRecord | null, at: number): EntryRecord {
  const [version, generation] = [(before?.version ?? 0) + 1, (before?.generation ?? 0) + 1];
  return { kind: "topic", name, version, generation, createdAt: at, deletedAt: null, config: JSON.stringify(config) };
}
