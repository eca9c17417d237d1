/** What is drawn, and where it stands: positions in CSS pixels. */
export type NodeKind = "topic" | "topology" | "table" | "room" | "model";
export type GraphNode = { id: string; kind: NodeKind; name: string };
/** `from` and `to` are ids of nodes. */
export type GraphEdge = { from: string; to: string };
export type Graph = { nodes: GraphNode[]; edges: GraphEdge[] };

export type Placed = GraphNode & { x: number; y: number; width: number };
export type Layout = {
  nodes: Placed[] /** `middle` is where an edge between columns has room for a word. */;
  edges: { edge: GraphEdge; path: string; middle: { x: number; y: number } | null }[];
  width: number;
  height: number;
};

type Topology = { name: string; sources: string[]; tables: string[]; sinks: string[]; models: string[] };

export const NODE_HEIGHT = 66;
const GAP = 16;
/** Between two columns, so that edges can bend. */
const CHANNEL = 64;
const MIN_NODE = 150;
const MAX_NODE = 250;
/** Where there is no room for columns, edges run here, left of the nodes. */
const GUTTER = 34;

/** What flows into what, as the topologies say. */
export function graphOf(topologies: readonly Topology[]): Graph {
  const nodes = new Map<string, GraphNode>();
  const edges: GraphEdge[] = [];
  const node = (kind: NodeKind, name: string): string => {
    const id = `${kind}:${name}`;
    if (!nodes.has(id)) nodes.set(id, { id, kind, name });
    return id;
  };
  for (const { name, sources, tables, sinks, models } of topologies) {
    const task = node("topology", name);
    for (const source of sources) edges.push({ from: node("topic", source), to: task });
    for (const model of models) edges.push({ from: node("model", model), to: task });
    for (const table of tables) edges.push({ from: task, to: node("table", table) });
    for (const sink of sinks) {
      const at = sink.indexOf(":");
      edges.push({ from: task, to: node(sink.slice(0, at) === "room" ? "room" : "topic", sink.slice(at + 1)) });
    }
  }
  return { nodes: [...nodes.values()], edges };
}

/** Lays a graph out in columns from left to right by longest path; in one column where `width` has no room. The same input gives the same picture. */
export function layOut(graph: Graph, width: number): Layout {
  const ranks = ranksOf(graph);
  const columns: GraphNode[][] = [];
  for (const node of graph.nodes) {
    const rank = ranks.get(node.id)!;
    while (columns.length <= rank) columns.push([]);
    columns[rank]!.push(node);
  }
  sortColumns(columns, graph.edges);
  const fits = columns.length * MIN_NODE + (columns.length - 1) * CHANNEL <= width;
  return fits ? inColumns(columns, graph.edges, width) : inOneColumn(columns, graph.edges, width);
}

/** The longest way to each node from where nothing leads to it. A cycle is cut where it is first closed. */
function ranksOf({ nodes, edges }: Graph): Map<string, number> {
  const ranks = new Map<string, number>();
  const open = new Set<string>();
  const rank = (id: string): number => {
    const known = ranks.get(id);
    if (known !== undefined || open.has(id)) return known ?? -1;
    open.add(id);
    const found = edges.filter(({ to }) => to === id).reduce((most, { from }) => Math.max(most, rank(from) + 1), 0);
    open.delete(id);
    ranks.set(id, found);
    return found;
  };
  for (const { id } of nodes) rank(id);
  return ranks;
}

/** Puts each node near what leads to it, so that few edges cross; what leads on stands below what ends there. */
function sortColumns(columns: GraphNode[][], edges: readonly GraphEdge[]): void {
  const row = new Map<string, number>();
  for (const column of columns) {
    const weight = new Map(
      column.map(({ id }) => {
        const rows = edges.filter(({ to }) => to === id).map(({ from }) => row.get(from) ?? 0);
        return [id, rows.length === 0 ? 0 : rows.reduce((total, each) => total + each, 0) / rows.length];
      }),
    );
    const leadsOn = (id: string) => (edges.some(({ from }) => from === id) ? 1 : 0);
    column.sort((a, b) => weight.get(a.id)! - weight.get(b.id)! || leadsOn(a.id) - leadsOn(b.id) || (a.id < b.id ? -1 : 1));
    for (const [at, { id }] of column.entries()) row.set(id, at - (column.length - 1) / 2);
  }
}

function inColumns(columns: GraphNode[][], edges: readonly GraphEdge[], width: number): Layout {
  const node = Math.min(MAX_NODE, Math.floor((width - (columns.length - 1) * CHANNEL) / columns.length));
  const step = columns.length === 1 ? 0 : (width - node) / (columns.length - 1);
  const height = Math.max(...columns.map((column) => column.length * (NODE_HEIGHT + GAP) - GAP));
  const nodes = columns.flatMap((column, rank) => {
    const top = (height - (column.length * (NODE_HEIGHT + GAP) - GAP)) / 2;
    return column.map((each, at): Placed => ({ ...each, x: rank * step, y: top + at * (NODE_HEIGHT + GAP), width: node }));
  });
  return draw(nodes, edges, { width, height }, (from, to) => {
    const [x0, y0, x1, y1] = [from.x + from.width, from.y + NODE_HEIGHT / 2, to.x, to.y + NODE_HEIGHT / 2];
    const bend = Math.max(24, Math.abs(x1 - x0) / 2);
    return { path: `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`, middle: { x: (x0 + x1) / 2, y: (y0 + y1) / 2 } };
  });
}

function inOneColumn(columns: GraphNode[][], edges: readonly GraphEdge[], width: number): Layout {
  const nodes = columns.flat().map((each, at): Placed => ({ ...each, x: GUTTER, y: at * (NODE_HEIGHT + GAP), width: width - GUTTER }));
  const height = nodes.length * (NODE_HEIGHT + GAP) - GAP;
  return draw(nodes, edges, { width, height }, (from, to) => {
    const [y0, y1] = [from.y + NODE_HEIGHT / 2 + 8, to.y + NODE_HEIGHT / 2 - 8];
    const bend = Math.min(GUTTER + 8, 14 + Math.abs(y1 - y0) / 12);
    return { path: `M${GUTTER} ${y0}C${GUTTER - bend} ${y0} ${GUTTER - bend} ${y1} ${GUTTER} ${y1}`, middle: null };
  });
}

type Size = { width: number; height: number };

function draw(
  nodes: Placed[],
  edges: readonly GraphEdge[],
  size: Size,
  way: (from: Placed, to: Placed) => Omit<Layout["edges"][number], "edge">,
): Layout {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return { nodes, ...size, edges: edges.map((edge) => ({ edge, ...way(byId.get(edge.from)!, byId.get(edge.to)!) })) };
}
