import { useState } from "preact/hooks";
import type { Api } from "../platform/api.ts";
import { hrefOf } from "../router.ts";
import { bytes, whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { useAction } from "../ui/use-action.ts";

/** The whole state as a file. */
export function Snapshot({ api, name, revision }: { api: Api; name: string; revision: number }) {
  const { busy, problem, run } = useAction();
  const [done, setDone] = useState<string | null>(null);
  const download = () =>
    run(async () => {
      const state = await api.client.groups.snapshot(name);
      const url = URL.createObjectURL(new Blob([state], { type: "application/octet-stream" }));
      const link = document.createElement("a");
      link.href = url;
      link.download = `${name.replace(/[^\w.-]+/g, "-")}.skerry-group`;
      link.click();
      // The browser has begun to read it by then.
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      setDone(`${bytes(state.byteLength)}, with everything up to revision ${whole(revision)} at least.`);
    });
  return (
    <Panel title="Snapshot" problem={problem}>
      <div class="actions">
        <button type="button" class="button" disabled={busy} onClick={download}>
          {busy ? "Reading …" : "Download the whole state"}
        </button>
        <span class="done" role="status">
          {done}
        </span>
      </div>
      <p class="hint">
        A snapshot is restored into a new group: choose it under <a href={hrefOf("groups")}>Groups</a> where one is created, here or in
        another deployment.
      </p>
    </Panel>
  );
}
