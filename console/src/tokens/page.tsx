import { useState } from "preact/hooks";
import "../styles/tokens.css";
import type { PageProps } from "../page.ts";
import type { Minted, Paged, TokenInfo } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { usePolled } from "../platform/polled.ts";
import { Confirm } from "../ui/confirm.tsx";
import { Copyable } from "../ui/copy.tsx";
import { moment } from "../ui/format.ts";
import { PageTitle } from "../ui/page-title.tsx";
import { Panel } from "../ui/panel.tsx";
import { ScrollX } from "../ui/scroll.tsx";
import { Keys } from "./keys.tsx";
import { Mint } from "./mint.tsx";

const EVERY_MS = 5_000;
const PAGE = 50;

/** Tokens: made with the rights that an app needs, shown once, listed, revoked; and the keys that sign them. */
export default function TokensPage({ api, session }: PageProps) {
  const [minted, setMinted] = useState<Minted | null>(null);
  const [turn, setTurn] = useState(0);
  return (
    <div class="page">
      <PageTitle title="Tokens">
        <p class="muted">What an app carries in place of the admin key: rights on names, for a time.</p>
      </PageTitle>
      {session.admin ? (
        <>
          <div class="columns">
            <Mint
              api={api}
              onMinted={(made) => {
                setMinted(made);
                setTurn(turn + 1);
              }}
            />
            <div class="stack">
              {minted !== null && <Shown minted={minted} onDone={() => setMinted(null)} />}
              <Keys api={api} onRotated={() => setTurn(turn + 1)} />
            </div>
          </div>
          <Tokens key={turn} api={api} />
        </>
      ) : (
        <section class="panel" aria-label="No rights">
          <p>Only the admin key may mint, list and revoke tokens. You are signed in by a token with these rights:</p>
          <Grants grants={session.grants} />
        </section>
      )}
    </div>
  );
}

/** The one time that a token is seen. */
function Shown({ minted, onDone }: { minted: Minted; onDone: () => void }) {
  return (
    <Panel title="Your new token" class="minted">
      <p>Copy it now: nobody stores it, and it is not shown again.</p>
      <Copyable text={minted.token} what="token" />
      <p class="hint">
        Its id is <code>{minted.id}</code>. It ends {moment(minted.expiresAt)}, and can be refreshed until {moment(minted.refreshableUntil)}
        .
      </p>
      <p class="actions actions-below">
        <button type="button" class="button button-small" onClick={onDone}>
          I have it
        </button>
      </p>
    </Panel>
  );
}

function Tokens({ api }: { api: Api }) {
  const [starts, setStarts] = useState<readonly string[]>([]);
  const [revoking, setRevoking] = useState<TokenInfo | null>(null);
  const after = starts.at(-1);
  const query = after === undefined ? "" : `&after=${encodeURIComponent(after)}`;
  const path = `/v1/tokens?limit=${PAGE}${query}`;
  const { value, problem, reload } = usePolled("Tokens", (signal) => api.get<Paged<"tokens", TokenInfo>>(path, signal), EVERY_MS, path);
  return (
    <Panel title="Tokens that have not ended" problem={problem}>
      {value === null ? (
        problem === null && <p class="empty-note">Loading …</p>
      ) : value.tokens.length === 0 ? (
        <p class="empty-note">None. Mint one above.</p>
      ) : (
        <ScrollX label="Tokens, a row each">
          <table class="rows" data-testid="tokens">
            <thead>
              <tr>
                <th scope="col">For</th>
                <th scope="col">Grants</th>
                <th scope="col">Made</th>
                <th scope="col">Ends</th>
                <th scope="col">State</th>
              </tr>
            </thead>
            <tbody>
              {value.tokens.map((token) => (
                <tr key={token.id}>
                  <th scope="row" class="name" title={token.id}>
                    {token.subject}
                  </th>
                  <td class="wrap grants">
                    <Grants grants={token.grants} />
                  </td>
                  <td class="muted">{moment(token.createdAt)}</td>
                  <td class="muted">{moment(token.expiresAt)}</td>
                  <td>
                    {token.revokedAt === null ? (
                      <button type="button" class="button button-small" onClick={() => setRevoking(token)}>
                        Revoke
                        <span class="visually-hidden">
                          {" "}
                          the token of {token.subject}, {token.id}
                        </span>
                      </button>
                    ) : (
                      <span class="bad">revoked {moment(token.revokedAt)}</span>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </ScrollX>
      )}
      {(starts.length > 0 || value?.next) && (
        <p class="actions actions-below">
          <button type="button" class="button button-small" disabled={starts.length === 0} onClick={() => setStarts(starts.slice(0, -1))}>
            Back
          </button>
          <button type="button" class="button button-small" disabled={!value?.next} onClick={() => setStarts([...starts, value!.next!])}>
            Next
          </button>
        </p>
      )}
      {revoking !== null && (
        <Confirm
          title={`Revoke the token of “${revoking.subject}”?`}
          action="Revoke the token"
          run={() => api.send("DELETE", `/v1/tokens/${encodeURIComponent(revoking.id)}`)}
          onEnd={(done) => {
            setRevoking(null);
            if (done) reload();
          }}
        >
          <p>
            It ends everywhere within ten seconds, and so does every token it was refreshed into. Its sockets are closed. This cannot be
            undone.
          </p>
        </Confirm>
      )}
    </Panel>
  );
}

/** What a token may do, in words. */
export function Grants({ grants }: { grants: TokenInfo["grants"] }) {
  return (
    <ul class="tags">
      {grants.map(({ capability, name, rights }) => (
        <li key={`${capability}/${name}/${rights}`} class="tag">
          {rights.join(", ")} on {capability === "*" ? "everything" : capability}
          {name !== "*" && ` ${name}`}
        </li>
      ))}
    </ul>
  );
}
