import type { Theme } from "../ui/theme.ts";

/** Mean delays in minutes at which the scale has a colour of its own; between them it is mixed. */
const STOPS = [-10, 0, 15, 30, 60];
const COLOURS: Record<Theme, string[]> = {
  light: ["#8fc9d3", "#e6edee", "#f5d98a", "#ec9a4b", "#bf3626"],
  dark: ["#1f6877", "#1d2a32", "#80641f", "#cd7a2b", "#e9513f"],
};

/** The colour of a mean delay: sea for early, sand and red for late. */
export function heat(mean: number, theme: Theme): string {
  const colours = COLOURS[theme];
  const above = STOPS.findIndex((stop) => mean < stop);
  if (above === 0) return colours[0]!;
  if (above < 0) return colours.at(-1)!;
  const share = (mean - STOPS[above - 1]!) / (STOPS[above]! - STOPS[above - 1]!);
  return mix(colours[above - 1]!, colours[above]!, share);
}

/** The scale as the background of a legend. */
export function heatGradient(theme: Theme): string {
  return `linear-gradient(90deg, ${COLOURS[theme].join(", ")})`;
}

function mix(from: string, to: string, share: number): string {
  const parts = [1, 3, 5].map((at) => {
    const [a, b] = [Number.parseInt(from.slice(at, at + 2), 16), Number.parseInt(to.slice(at, at + 2), 16)];
    return Math.round(a + (b - a) * share);
  });
  return `rgb(${parts.join(" ")})`;
}
