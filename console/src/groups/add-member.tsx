import { useState } from "preact/hooks";
import type { Api } from "../platform/api.ts";
import { Field } from "../ui/field.tsx";
import { Problem } from "../ui/problem.tsx";
import { useAction } from "../ui/use-action.ts";
import { REGIONS } from "./words.ts";

/** One more replica: it follows until it has the log, and then votes. */
export function AddMember({ api, path, onChange }: { api: Api; path: string; onChange: () => void }) {
  const { busy, problem, run } = useAction();
  const [done, setDone] = useState<string | null>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    setDone(null);
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const region = String(form.get("region") ?? "");
    const learner = form.get("learner") !== null;
    void run(async () => {
      try {
        const { members } = await api.send<{ members: { id: number }[] }>("POST", `${path}/members`, { region: region || null, learner });
        setDone(`Replica ${Math.max(...members.map(({ id }) => id))} was added.`);
      } finally {
        onChange();
      }
    });
  };
  return (
    <form class="form create" onSubmit={submit}>
      <div class="fields">
        <Field label="Add a replica" hint="where it is to live">
          {(id) => (
            <select id={id} name="region" class="input">
              <option value="">anywhere</option>
              {Object.entries(REGIONS).map(([region, words]) => (
                <option key={region} value={region}>
                  {words} ({region})
                </option>
              ))}
            </select>
          )}
        </Field>
        <div class="checks">
          <label>
            <input type="checkbox" name="learner" /> follow only, do not vote
          </label>
        </div>
        <button type="submit" class="button" disabled={busy}>
          {busy ? "It gets the log …" : "Add the replica"}
        </button>
      </div>
      <Problem text={problem} />
      <span class="done" role="status">
        {done}
      </span>
    </form>
  );
}
