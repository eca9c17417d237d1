import type { GroupConfig, Region } from "@skerry/client/groups";
import { useState } from "preact/hooks";
import type { Api } from "../platform/api.ts";
import { go } from "../router.ts";
import { Field } from "../ui/field.tsx";
import { Problem } from "../ui/problem.tsx";
import { useAction } from "../ui/use-action.ts";
import { pathOf, REGIONS } from "./words.ts";

const SIZES = [
  { replicas: 1, words: "1: durable, not replicated" },
  { replicas: 3, words: "3: survives the loss of one" },
  { replicas: 5, words: "5: survives the loss of two" },
] as const;

/** A new group, empty or with the state of a snapshot. The server checks it and says what is wrong. */
export function CreateGroup({ api }: { api: Api }) {
  const { busy, problem, run } = useAction();
  const [replicas, setReplicas] = useState<1 | 3 | 5>(3);
  const [chooses, setChooses] = useState(false);
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const name = String(form.get("name") ?? "").trim();
    const file = form.get("snapshot");
    const regions = form.getAll("region").map(String) as Region[];
    const config: GroupConfig = { replicas, ...(chooses && { regions }) };
    void run(async () => {
      if (file instanceof File && file.size > 0) await api.client.groups.restore(name, new Uint8Array(await file.arrayBuffer()), config);
      else await api.send("PUT", pathOf(name), config);
      go("groups", name);
    });
  };
  return (
    <form class="form create create-group" onSubmit={submit} noValidate>
      <div class="fields">
        <Field label="New group">{(id) => <input id={id} name="name" class="input" required maxLength={256} autocomplete="off" />}</Field>
        <Field label="Replicas">
          {(id) => (
            <select
              id={id}
              class="input"
              value={String(replicas)}
              onChange={(event) => setReplicas(Number(event.currentTarget.value) as 1 | 3 | 5)}
            >
              {SIZES.map((size) => (
                <option key={size.replicas} value={String(size.replicas)}>
                  {size.words}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="From a snapshot" hint="optional">
          {(id) => <input id={id} name="snapshot" type="file" class="input input-file" />}
        </Field>
        <div class="checks">
          <label>
            <input type="checkbox" checked={chooses} onChange={(event) => setChooses(event.currentTarget.checked)} /> choose the regions
          </label>
        </div>
        <button type="submit" class="button button-main" disabled={busy}>
          {busy ? "Creating …" : "Create the group"}
        </button>
      </div>
      {chooses && (
        <div class="fields">
          {Array.from({ length: replicas }, (_, at) => (
            <Field key={at} label={`Replica ${at + 1}`}>
              {(id) => (
                <select id={id} name="region" class="input">
                  {Object.entries(REGIONS).map(([region, words], index) => (
                    <option key={region} value={region} selected={index === at}>
                      {words} ({region})
                    </option>
                  ))}
                </select>
              )}
            </Field>
          ))}
        </div>
      )}
      <Problem text={problem} />
    </form>
  );
}
