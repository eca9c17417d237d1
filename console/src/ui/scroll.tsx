import type { ComponentChildren } from "preact";

/** A part that may be wider than the page: it scrolls by itself, by keyboard too. */
export function ScrollX({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a part that may scroll must be reachable by keyboard.
    <section class="scroll-x" tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}
