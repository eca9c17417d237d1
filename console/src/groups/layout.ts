/** Where each replica of a group is drawn, in the units of the drawing. */
export type Spot = { id: number; x: number; y: number };
export const DRAWING = { width: 440, height: 360, node: 30, leader: 38 };

/** On a circle in the order of their ids, turned so that the leader stands on top. */
export function spotsOf(ids: readonly number[], leader: number | null): Spot[] {
  const { width, height } = DRAWING;
  // The leader has its word above it.
  const middle = { x: width / 2, y: height / 2 + 8 };
  if (ids.length === 1) return [{ id: ids[0]!, ...middle }];
  const radius = ids.length === 2 ? 92 : 118;
  // Three of them stand on less than the circle's height.
  const down = ids.length === 3 ? 24 : 0;
  const first = Math.max(0, leader === null ? 0 : ids.indexOf(leader));
  return ids.map((id, at) => {
    const angle = (2 * Math.PI * (at - first)) / ids.length - Math.PI / 2;
    return { id, x: middle.x + 1.18 * radius * Math.cos(angle), y: middle.y + down + radius * Math.sin(angle) };
  });
}

export type Line = { a: Spot; b: Spot };

/** A link between each two. */
export function linesOf(spots: readonly Spot[]): Line[] {
  return spots.flatMap((a, at) => spots.slice(at + 1).map((b) => ({ a, b })));
}
