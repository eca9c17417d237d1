import { useState } from "preact/hooks";
import type { Key } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { usePolled } from "../platform/polled.ts";
import { Confirm } from "../ui/confirm.tsx";
import { moment } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { ScrollX } from "../ui/scroll.tsx";

const EVERY_MS = 30_000;

/** The keys that sign tokens and verify them. A new one is made at once; the old ones verify what they signed until it ends. */
export function Keys({ api, onRotated }: { api: Api; onRotated: () => void }) {
  const { value, problem, reload } = usePolled("Keys", (signal) => api.get<{ keys: Key[] }>("/v1/keys", signal), EVERY_MS);
  const [asking, setAsking] = useState(false);
  const [endOld, setEndOld] = useState(false);
  return (
    <Panel
      title="Signing keys"
      problem={problem}
      aside={
        <button type="button" class="button button-small" onClick={() => setAsking(true)}>
          Rotate …
        </button>
      }
    >
      {value === null ? (
        problem === null && <p class="empty-note">Loading …</p>
      ) : value.keys.length === 0 ? (
        <p class="empty-note">The first token makes the first key.</p>
      ) : (
        <ScrollX label="Signing keys, a row each">
          <table class="rows" data-testid="keys">
            <thead>
              <tr>
                <th scope="col">Key</th>
                <th scope="col">Made</th>
                <th scope="col">State</th>
              </tr>
            </thead>
            <tbody>
              {value.keys.map(({ id, createdAt, verifiesUntil }) => (
                <tr key={id}>
                  <th scope="row">
                    <code>{id.slice(0, 12)}</code>
                  </th>
                  <td class="muted">{moment(createdAt)}</td>
                  <td>{verifiesUntil === null ? "signs" : `verifies until ${moment(verifiesUntil)}`}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </ScrollX>
      )}
      {asking && (
        <Confirm
          title="Make a new signing key?"
          action="Rotate the key"
          run={() => api.send("POST", "/v1/keys/rotate", { endOld })}
          onEnd={(done) => {
            setAsking(false);
            setEndOld(false);
            if (!done) return;
            reload();
            onRotated();
          }}
        >
          <p>New tokens are signed by it. Tokens signed before stay valid until they end.</p>
          <p class="checks">
            <label>
              <input type="checkbox" checked={endOld} onChange={(event) => setEndOld(event.currentTarget.checked)} />
              The old key has leaked: end it, and revoke all tokens it signed
            </label>
          </p>
        </Confirm>
      )}
    </Panel>
  );
}
