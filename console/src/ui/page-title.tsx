import type { ComponentChildren } from "preact";

/** The heading of a page; `up` leads to the page that it is a place of. */
export function PageTitle({ title, up, children }: { title: string; up?: { href: string; title: string }; children?: ComponentChildren }) {
  return (
    <header class="page-title">
      {up !== undefined && (
        <nav aria-label="Up">
          <a href={up.href}>{up.title}</a> <span aria-hidden="true">/</span>
        </nav>
      )}
      <h1>{title}</h1>
      {children}
    </header>
  );
}
