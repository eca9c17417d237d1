import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type RoomListed, type RoomStatus, sum, type TopicStatus, type TopologyStatus } from "../platform/answers.ts";
import { hrefOf } from "../router.ts";
import { perSecond, plural, shortRate, whole } from "../ui/format.ts";
import { type GraphNode, graphOf, layOut, NODE_HEIGHT } from "./graph.ts";
import { sizeOf, sumOf } from "./state.ts";

type FlowProps = {
  topologies: readonly TopologyStatus[];
  /** Null while not known. */
  topics: readonly TopicStatus[] | null;
  rooms: readonly (RoomListed & { status: RoomStatus | null })[] | null;
  rate: (id: string) => number | null;
};

/** `note` is what stands below the name; `faint` is declared by a topology and does not exist yet. */
type Said = { note: string; tone: "calm" | "busy" | "bad" | "faint"; speed: number };

const KINDS = { topic: "Topic", topology: "Topology", table: "Table", room: "Room", model: "Model" } as const;

/** Topics, topologies and what they make of them, drawn from left to right; lines move while records do. */
export function Flow({ topologies, topics, rooms, rate }: FlowProps) {
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(host.current!);
    return () => observer.disconnect();
  }, []);
  const shape = JSON.stringify(topologies.map(({ name, sources, tables, sinks, models }) => ({ name, sources, tables, sinks, models })));
  const layout = useMemo(() => (width === 0 ? null : layOut(graphOf(topologies), width)), [shape, width]);

  const saying = (node: GraphNode): Said => {
    const speed = rate(node.id) ?? 0;
    // Short, because a node is narrow.
    const moving = speed > 0 ? `, ${shortRate(speed)}/s` : "";
    switch (node.kind) {
      case "topology": {
        const { tasks, unread } = topologies.find(({ name }) => name === node.name)!;
        const lag = sumOf(tasks.map((task) => task.lag));
        const poisoned = sumOf(tasks.map((task) => task.poisoned));
        const faults = [
          poisoned > 0 ? `, ${plural(poisoned, "record")} unreadable` : "",
          unread.length > 0 ? `, ${plural(unread.length, "partition")} not read` : "",
        ].join("");
        const note = lag > 0 ? `${whole(lag)} behind` : speed > 0 ? perSecond(speed) : plural(tasks.length, "task");
        return { note: `${note}${faults}`, tone: faults !== "" ? "bad" : lag > 0 ? "busy" : "calm", speed };
      }
      case "topic": {
        const topic = topics?.find(({ name }) => name === node.name);
        if (topic === undefined) return { note: topics === null ? "" : "not created yet", tone: "faint", speed: 0 };
        return { note: `${plural(sizeOf(topic), "record")}${moving}`, tone: "calm", speed };
      }
      case "table": {
        const { tasks } = topologies.find(({ tables }) => tables.includes(node.name))!;
        const late = sumOf(tasks.map((task) => task.late[node.name] ?? 0));
        return { note: late > 0 ? `${whole(late)} late` : "nothing late", tone: "calm", speed: 0 };
      }
      case "model":
        return { note: "scores each record", tone: "calm", speed: 0 };
      case "room": {
        const room = rooms?.find(({ name }) => name === node.name);
        if (room === undefined) return { note: rooms === null ? "" : "not made yet", tone: "faint", speed: 0 };
        return { note: room.status === null ? "" : plural(room.status.connections, "connection"), tone: "calm", speed: 0 };
      }
      default:
        return node.kind satisfies never;
    }
  };
  const said = new Map(layout?.nodes.map((node) => [node.id, saying(node)]));

  return (
    <div class="flow" ref={host} style={{ height: `${layout?.height ?? NODE_HEIGHT}px` }} data-testid="flow">
      {layout !== null && (
        <>
          <svg width={layout.width} height={layout.height} aria-hidden="true" focusable="false">
            {layout.edges.map(({ edge, path, middle }) => {
              const moves = said.get(edge.from)!.speed > 0 && (edge.from.startsWith("topology:") || said.get(edge.to)!.speed > 0);
              return (
                <g key={`${edge.from} ${edge.to}`}>
                  <path d={path} class={moves ? "edge edge-moves" : "edge"} />
                  {middle !== null && edge.from.startsWith("topic:") && edge.to.startsWith("topology:") && (
                    <text x={middle.x} y={middle.y + 4} class="edge-word">
                      queue
                    </text>
                  )}
                </g>
              );
            })}
          </svg>
          <ul aria-label="Topics, models, topologies, tables and rooms">
            {layout.nodes.map((node) => {
              const { note, tone } = said.get(node.id)!;
              return (
                <li key={node.id} style={{ left: `${node.x}px`, top: `${node.y}px`, width: `${node.width}px`, height: `${NODE_HEIGHT}px` }}>
                  <a class={`node node-${node.kind} node-${tone}`} href={hrefTo(node)}>
                    <span class="node-kind">{KINDS[node.kind]}</span>
                    <b>{node.name}</b>
                    <span class="node-note">{note}</span>
                    {node.kind === "topology" && <Partitions topology={topologies.find(({ name }) => name === node.name)!} />}
                  </a>
                </li>
              );
            })}
          </ul>
        </>
      )}
    </div>
  );
}

/** A cell a task: how much of its partition it has applied. */
function Partitions({ topology }: { topology: TopologyStatus }) {
  return (
    <span class="node-tasks" aria-hidden="true">
      {topology.tasks.slice(0, 16).map(({ partition, applied, head, lag }) => {
        const share = sum(head) === 0 ? 1 : sum(applied) / sum(head);
        return (
          <i key={partition} title={`partition ${partition}: ${plural(lag, "record")} behind`}>
            <i style={{ height: `${Math.round(100 * Math.min(1, share))}%` }} />
          </i>
        );
      })}
    </span>
  );
}

function hrefTo({ kind, name }: GraphNode): string {
  switch (kind) {
    case "topic":
      return hrefOf("streams", "topics", name);
    case "table":
      return hrefOf("streams", "tables", name);
    case "topology":
      return hrefOf("streams", "topologies", name);
    case "room":
      return hrefOf("rooms", name);
    case "model":
      return "/guide/models";
    default:
      return kind satisfies never;
  }
}
