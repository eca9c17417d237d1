/** Somebody who has the room open. `colour` is `#rrggbb`. */
export type Person = { client: number; name: string; colour: string; you: boolean };

const BIRDS = ["Eider", "Puffin", "Heron", "Gannet", "Guillemot", "Tern", "Curlew", "Dunlin", "Fulmar", "Kittiwake", "Plover", "Skua"];
/** Dark enough for white text, far enough from each other. */
const COLOURS = ["#0a6e86", "#b04a12", "#2c7a4b", "#8e3b8a", "#5a55c9", "#a3324a", "#7a6510", "#2f6fb5"];
const KEPT = "skerry.name";
const MAX_NAME = 40;

/** The name this tab goes by: the one chosen in it, else a bird of the coast. */
export function ownName(): string {
  const kept = sessionStorage.getItem(KEPT);
  if (kept !== null) return kept;
  const name = pick(BIRDS, crypto.getRandomValues(new Uint32Array(1))[0]!);
  sessionStorage.setItem(KEPT, name);
  return name;
}

export function keepName(name: string): string {
  const kept = name.trim().slice(0, MAX_NAME) || ownName();
  sessionStorage.setItem(KEPT, kept);
  return kept;
}

export function colourOf(client: number): string {
  return pick(COLOURS, client);
}

/** Everyone with a name in the room's presence, oneself first. What others say of themselves is checked: it goes into styles. */
export function peopleIn(states: ReadonlyMap<number, unknown>, self: number): Person[] {
  const people: Person[] = [];
  for (const [client, state] of states) {
    const { user } = (state ?? {}) as { user?: { name?: unknown; color?: unknown } };
    if (typeof user?.name !== "string") continue;
    const colour = typeof user.color === "string" && /^#[0-9a-f]{6}$/i.test(user.color) ? user.color : colourOf(client);
    people.push({ client, name: user.name.slice(0, MAX_NAME), colour, you: client === self });
  }
  return people.sort((a, b) => Number(b.you) - Number(a.you) || a.client - b.client);
}

function pick<T>(from: readonly T[], number: number): T {
  return from[number % from.length]!;
}
