import type { ComponentChildren } from "preact";

type TileProps = { id: string; name: string; value: string | null; tone?: "busy" | "calm"; children: ComponentChildren };

/** One total, with what it means. Stands in a `dl`. */
export function Tile({ id, name, value, tone, children }: TileProps) {
  return (
    <div class={`tile${tone === undefined ? "" : ` tile-${tone}`}`}>
      <dt>{name}</dt>
      <dd class="tile-value" data-testid={id}>
        {value ?? "–"}
      </dd>
      <dd class="tile-note">{children}</dd>
    </div>
  );
}
