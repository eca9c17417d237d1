import { useRef } from "preact/hooks";
import { plural } from "../ui/format.ts";
import type { DeskRoom } from "./room.ts";

const SHOWN = 5;

/** Who has the page open: oneself by a name that can be changed, the others by their colours. */
export function People({ room }: { room: DeskRoom }) {
  const input = useRef<HTMLInputElement>(null);
  const you = room.people.value.find((person) => person.you);
  const others = room.people.value.filter((person) => !person.you);
  const rename = () => {
    room.rename(input.current!.value);
    // What was taken may be shorter, or the old name.
    input.current!.value = room.name.value;
  };
  return (
    <div class="people">
      <ul aria-label={`${plural(others.length, "other")} here`} data-testid="others">
        {others.slice(0, SHOWN).map(({ client, name, colour }) => (
          <li key={client} class="avatar" style={{ background: colour }} title={name}>
            <span aria-hidden="true">{name.slice(0, 1).toUpperCase()}</span>
            <span class="visually-hidden">{name}</span>
          </li>
        ))}
        {others.length > SHOWN && <li class="avatar avatar-more">+{others.length - SHOWN}</li>}
      </ul>
      <label class="you">
        <span class="swatch" style={{ background: you?.colour }} aria-hidden="true" />
        <span class="visually-hidden">Your name</span>
        <input
          ref={input}
          defaultValue={room.name.value}
          maxLength={40}
          spellcheck={false}
          autocomplete="off"
          onChange={rename}
          onKeyDown={(event) => event.key === "Enter" && input.current!.blur()}
        />
      </label>
    </div>
  );
}
