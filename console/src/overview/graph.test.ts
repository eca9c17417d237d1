import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { graphOf, layOut, NODE_HEIGHT } from "./graph.ts";

const DESK = {
  name: "flight-desk",
  sources: ["flights"],
  tables: ["delays"],
  sinks: ["topic:changes", "topic:unusual"],
  models: ["forest"],
};
const BOARD = { name: "flight-board", sources: ["changes"], tables: ["board"], sinks: ["room:flight-desk"], models: [] };

describe("the graph of topologies", () => {
  it("has each thing once, and an edge for each way that records, scores and rows take", () => {
    const { nodes, edges } = graphOf([DESK, BOARD]);
    expect(nodes.map(({ id }) => id).sort()).toEqual(
      [
        ...["topic:flights", "topic:changes", "topic:unusual", "model:forest", "room:flight-desk"],
        ...["topology:flight-desk", "topology:flight-board", "table:delays", "table:board"],
      ].sort(),
    );
    expect(edges.map(({ from, to }) => `${from} ${to}`)).toContain("topic:changes topology:flight-board");
    expect(edges.map(({ from, to }) => `${from} ${to}`)).toContain("model:forest topology:flight-desk");
    expect(edges).toHaveLength(8);
  });

  it("runs from left to right", () => {
    const { nodes, edges } = layOut(graphOf([DESK, BOARD]), 1300);
    const x = new Map(nodes.map((node) => [node.id, node.x]));
    for (const { edge } of edges) expect(x.get(edge.to)!, `${edge.from} ${edge.to}`).toBeGreaterThan(x.get(edge.from)!);
  });

  const name = fc.stringMatching(/^[a-d]$/);
  const names = fc.uniqueArray(name, { maxLength: 3 });
  const topologies = fc.uniqueArray(
    fc.record({
      name,
      sources: names,
      tables: names,
      sinks: fc.array(
        name.map((each) => `topic:${each}`),
        { maxLength: 2 },
      ),
      models: names,
    }),
    { maxLength: 4, selector: (each) => each.name },
  );

  it("fits every width without overlaps, circles included", () => {
    fc.assert(
      fc.property(topologies, fc.integer({ min: 300, max: 1600 }), (declared, width) => {
        const { nodes, height } = layOut(graphOf(declared), width);
        for (const node of nodes) {
          expect(node.x).toBeGreaterThanOrEqual(0);
          expect(node.x + node.width).toBeLessThanOrEqual(width + 1);
          expect(node.y + NODE_HEIGHT).toBeLessThanOrEqual(height + 1);
        }
        for (const [at, a] of nodes.entries())
          for (const b of nodes.slice(at + 1))
            expect(Math.abs(a.y - b.y) >= NODE_HEIGHT || Math.abs(a.x - b.x) >= a.width, `${a.id} ${b.id}`).toBe(true);
      }),
    );
  });
});
