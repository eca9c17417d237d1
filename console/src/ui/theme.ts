import { signal } from "@preact/signals";

export type Theme = "dark" | "light";

const KEPT = "skerry.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** The theme in force. What is drawn on a canvas is drawn anew when it changes; CSS follows by itself. */
export const theme = signal<Theme>(current());

system.addEventListener("change", () => {
  theme.value = current();
});

/** Chooses the other theme, for this browser. Choosing what the system has returns to following the system. */
export function toggleTheme(): void {
  const next: Theme = theme.value === "dark" ? "light" : "dark";
  const followed = next === (system.matches ? "dark" : "light");
  if (followed) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (followed) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, next);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  theme.value = next;
}

/** The value of a colour token of base.css in the theme in force, as canvases need it. */
export function colour(token: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function current(): Theme {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "dark" || chosen === "light") return chosen;
  return system.matches ? "dark" : "light";
}
