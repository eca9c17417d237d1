import { useEffect, useState } from "preact/hooks";
import type { Paged, RoomListed, RoomStatus, Topic, TopicStatus, Topology, TopologyStatus, Usage } from "../platform/answers.ts";
import { sum } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { type Polled, usePolled } from "../platform/polled.ts";
import { there } from "../platform/there.ts";
import { useRates } from "./rates.ts";

/** While records arrive, and while none do: a page left open should cost little. */
const BUSY_MS = 2_000;
const IDLE_MS = 10_000;
const SLOW_MS = 60_000;
const CALM_AFTER = 20_000;
/** Objects looked at one by one; more are counted, and found on their page. */
export const SHOWN = 12;

export type TopicList = { topics: TopicStatus[]; more: boolean };
export type RoomList = { rooms: (RoomListed & { status: RoomStatus | null })[]; more: boolean };
export type Models = { models: { name: string; versions: string[] }[] };

/** The platform as it is, read again and again. Counts of records a second are by id of a node, as in the graph. */
export type Overview = {
  topologies: Polled<TopologyStatus[]>;
  topics: Polled<TopicList>;
  rooms: Polled<RoomList>;
  models: Polled<Models>;
  usage: Polled<Usage>;
  rate: (id: string) => number | null;
  /** Requests a second, all capabilities. */
  requests: number | null;
};

export function useOverview(api: Api): Overview {
  const [movedAt, setMovedAt] = useState(Date.now());
  const pace = Date.now() - movedAt < CALM_AFTER ? BUSY_MS : IDLE_MS;
  const topologies = usePolled("Topologies", (signal) => topologiesOf(api, signal), pace);
  const topics = usePolled("Topics", (signal) => topicsOf(api, signal), pace);
  const rooms = usePolled("Rooms", (signal) => roomsOf(api, signal), 2 * pace);
  const models = usePolled("Models", (signal) => api.get<Models>("/v2/models", signal), SLOW_MS);
  const usage = usePolled("Usage", (signal) => api.get<Usage>("/v1/usage", signal), IDLE_MS);

  const applied = new Map(
    (topologies.value ?? []).map(({ name, tasks }) => [`topology:${name}`, sumOf(tasks.map((task) => sum(task.applied)))]),
  );
  const heads = new Map((topics.value?.topics ?? []).map((topic) => [`topic:${topic.name}`, sizeOf(topic)]));
  const appliedRate = useRates(applied, topologies.at);
  const headRate = useRates(heads, topics.at);
  const requestRate = useRates(new Map([["requests", usage.value?.total.requests ?? 0]]), usage.at);

  const moved = `${[...applied.values()]}/${[...heads.values()]}`;
  useEffect(() => setMovedAt(Date.now()), [moved]);
  return {
    topologies,
    topics,
    rooms,
    models,
    usage,
    rate: (id) => (id.startsWith("topology:") ? appliedRate(id) : headRate(id)),
    requests: requestRate("requests"),
  };
}

/** How many records a topic was ever given. */
export function sizeOf(topic: TopicStatus): number {
  return sumOf(topic.extents.map(({ head }) => head));
}

export function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

async function topologiesOf(api: Api, signal: AbortSignal): Promise<TopologyStatus[]> {
  const { topologies } = await api.get<{ topologies: Topology[] }>("/v1/topologies", signal);
  return Promise.all(topologies.map(({ name }) => api.get<TopologyStatus>(`/v1/topologies/${encodeURIComponent(name)}`, signal)));
}

async function topicsOf(api: Api, signal: AbortSignal): Promise<TopicList> {
  const { topics, next } = await api.get<Paged<"topics", Topic>>(`/v1/topics?limit=${SHOWN}`, signal);
  const found = await Promise.all(topics.map(({ name }) => there(api.get<TopicStatus>(`/v1/topics/${encodeURIComponent(name)}`, signal))));
  return { topics: found.filter((topic) => topic !== null), more: next !== null };
}

async function roomsOf(api: Api, signal: AbortSignal): Promise<RoomList> {
  const { rooms, next } = await api.get<Paged<"rooms", RoomListed>>(`/v1/rooms?limit=${SHOWN}`, signal);
  const status = await Promise.all(rooms.map(({ name }) => there(api.get<RoomStatus>(`/v1/rooms/${encodeURIComponent(name)}`, signal))));
  return { rooms: rooms.map((room, at) => ({ ...room, status: status[at]! })), more: next !== null };
}
