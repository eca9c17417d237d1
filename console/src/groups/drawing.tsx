import type { GroupStatus } from "@skerry/client/groups";
import { cutsOf, linkOf } from "./changes.ts";
import { DRAWING, type Line, linesOf, type Spot, spotsOf } from "./layout.ts";
import { STANDINGS, type Standing, standingOf } from "./words.ts";

type DrawingProps = {
  status: GroupStatus;
  /** Cuts a link, or joins it; null where nothing may be broken here. */
  onLink: ((a: number, b: number, cut: boolean) => void) | null;
};

/** More links than these replicas have would stand too close for a button on each. */
const MAX_WITH_BUTTONS = 5;

/** A group as a picture: its replicas, the links between them, who leads, who is silent. The table below says the same in words. */
export function Drawing({ status, onLink }: DrawingProps) {
  const { leader } = status;
  const members = status.status;
  const spots = spotsOf(
    members.map(({ id }) => id),
    leader,
  );
  const lines = linesOf(spots);
  const cuts = cutsOf(status);
  return (
    <div class="quorum" data-testid="drawing">
      <div role="img" aria-label={inWords(status)}>
        <svg viewBox={`0 0 ${DRAWING.width} ${DRAWING.height}`} aria-hidden="true" focusable="false">
          {lines.map((line) => (
            <Link key={linkOf(line.a.id, line.b.id)} line={line} status={status} isCut={cuts.has(linkOf(line.a.id, line.b.id))} />
          ))}
          {members.map((member, at) => (
            <Node key={member.id} spot={spots[at]!} standing={standingOf(member)} member={member} leads={member.id === leader} />
          ))}
        </svg>
      </div>
      {onLink !== null && members.length <= MAX_WITH_BUTTONS && (
        <div class="quorum-links">
          {lines.map(({ a, b }) => {
            const isCut = cuts.has(linkOf(a.id, b.id));
            return (
              <button
                key={linkOf(a.id, b.id)}
                type="button"
                class="quorum-link"
                style={{ left: `${(50 * (a.x + b.x)) / DRAWING.width}%`, top: `${(50 * (a.y + b.y)) / DRAWING.height}%` }}
                aria-label={`Cut the link ${linkOf(a.id, b.id)}`}
                title={isCut ? `Join ${linkOf(a.id, b.id)} again` : `Cut ${linkOf(a.id, b.id)}`}
                aria-pressed={isCut}
                onClick={() => onLink(a.id, b.id, !isCut)}
              >
                <span aria-hidden="true">{isCut ? "+" : "×"}</span>
              </button>
            );
          })}
        </div>
      )}
    </div>
  );
}

function Link({ line: { a, b }, status, isCut }: { line: Line; status: GroupStatus; isCut: boolean }) {
  const { leader } = status;
  const ofLeader = leader === a.id || leader === b.id;
  const leading = status.status.find(({ id }) => id === leader)?.state ?? null;
  const peer = ofLeader ? leading?.peers.find(({ id }) => id === (leader === a.id ? b.id : a.id)) : undefined;
  const silent = [a.id, b.id].some((id) => {
    const standing = standingOf(status.status.find((member) => member.id === id)!);
    return standing === "silent" || standing === "hung";
  });
  const behind = peer !== undefined && leading !== null && peer.match < leading.index;
  const kind = isCut ? "cut" : silent || peer?.down ? "down" : ofLeader ? (behind ? "leads link-moves" : "leads") : "plain";
  return <line class={`link link-${kind}`} x1={a.x} y1={a.y} x2={b.x} y2={b.y} />;
}

type NodeProps = { spot: Spot; standing: Standing; member: GroupStatus["status"][number]; leads: boolean };

function Node({ spot, standing, member, leads }: NodeProps) {
  const { state } = member;
  const size = leads ? DRAWING.leader : DRAWING.node;
  return (
    <g class={`replica replica-${standing}${leads ? " replica-leads" : ""}`} style={{ transform: `translate(${spot.x}px, ${spot.y}px)` }}>
      {leads && <circle class="replica-halo" r={size + 8} />}
      <circle class="replica-body" r={size} />
      <text class="replica-id" y={leads ? 1 : 2}>
        {spot.id}
      </text>
      <text class="replica-term" y={leads ? 18 : 17}>
        {state === null ? "?" : `term ${state.term}`}
      </text>
      <text class="replica-note" y={leads ? -(size + 15) : size + 17}>
        {STANDINGS[standing]}
      </text>
    </g>
  );
}

function inWords(status: GroupStatus): string {
  const who = status.leader === null ? "nobody leads" : `replica ${status.leader} leads in term ${status.term}`;
  const others = status.status.filter(({ id }) => id !== status.leader).map((member) => `${member.id} ${STANDINGS[standingOf(member)]}`);
  const cuts = [...cutsOf(status)];
  return [
    `A group of ${status.status.length}: ${who}`,
    ...(others.length > 0 ? [others.join(", ")] : []),
    ...(cuts.length > 0 ? [`cut: ${cuts.join(", ")}`] : []),
  ].join("; ");
}
