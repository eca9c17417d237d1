import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

type PanelProps = {
  title: string;
  class?: string;
  /** Stands beside the title. */
  aside?: ComponentChildren;
  /** What is wrong with this panel's source, in a sentence. */
  problem?: string | null;
  children: ComponentChildren;
};

/** A titled part of a page. */
export function Panel({ title, class: name = "", aside, problem, children }: PanelProps) {
  const id = useId();
  return (
    <section class={`panel ${name}`} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </header>
      {problem && (
        <p class="problem" role="status">
          {problem}
        </p>
      )}
      {children}
    </section>
  );
}
