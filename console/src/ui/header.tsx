import { PAGES } from "../pages.ts";
import { connections, detailOf, overall } from "../platform/connections.ts";
import { leave, type Session } from "../platform/session.ts";
import { hrefOf, page } from "../router.ts";
import { Mark, Moon, Person, Sun } from "./icons.tsx";
import { theme, toggleTheme } from "./theme.ts";

const WORDS = { connecting: "Connecting", live: "Live", waiting: "Reconnecting", refused: "Refused" } as const;

/** The bar on top of every page: where one is, how the connections stand, who one is. */
export function Header({ session }: { session: Session }) {
  return (
    <header class="bar">
      <a class="brand" href={hrefOf(PAGES[0].path)} aria-label="Skerry">
        <Mark />
        <span>Skerry</span>
      </a>
      <nav aria-label="Pages">
        {PAGES.map(({ path, title }) => (
          <a key={path} href={hrefOf(path)} aria-current={page.value.path === path ? "page" : undefined}>
            {title}
          </a>
        ))}
        <a href="/docs">Reference</a>
      </nav>
      <div class="bar-end">
        <ConnectionStatus />
        <ThemeToggle />
        <Account session={session} />
      </div>
    </header>
  );
}

export function ThemeToggle() {
  const other = theme.value === "dark" ? "light" : "dark";
  return (
    <button type="button" class="icon-button" onClick={toggleTheme} aria-label={`Switch to the ${other} theme`} title={`${other} theme`}>
      {other === "light" ? <Sun /> : <Moon />}
    </button>
  );
}

function ConnectionStatus() {
  const state = overall.value;
  if (state === null) return null;
  return (
    <>
      <button type="button" class={`status status-${state}`} popovertarget="connections" aria-label={`Connections: ${WORDS[state]}`}>
        <span class="dot" aria-hidden="true" />
        <span class="status-word">{WORDS[state]}</span>
      </button>
      <div id="connections" class="popover" popover="auto">
        <h2>Connections</h2>
        <dl class="facts">
          {[...connections.value].map(([name, connection]) => (
            <div key={name}>
              <dt>
                <span class={`dot dot-${connection.state}`} aria-hidden="true" />
                {name}
              </dt>
              <dd>{detailOf(connection) ?? WORDS[connection.state]}</dd>
            </div>
          ))}
        </dl>
      </div>
      <span class="visually-hidden" role="status">
        Connections: {WORDS[state]}
      </span>
    </>
  );
}

function Account({ session }: { session: Session }) {
  return (
    <>
      <button
        type="button"
        class="icon-button"
        popovertarget="account"
        aria-label={`Signed in as ${session.subject}`}
        title={session.subject}
      >
        <Person />
      </button>
      <div id="account" class="popover" popover="auto">
        <h2>{session.subject}</h2>
        <dl class="facts">
          <div>
            <dt>Project</dt>
            <dd>{session.project}</dd>
          </div>
          <div>
            <dt>Signed in by</dt>
            <dd>{session.admin ? "admin key" : session.tokenId === null ? "nothing: anonymous" : "token"}</dd>
          </div>
          {session.expiresAt !== null && (
            <div>
              <dt>Until</dt>
              <dd>{new Date(session.expiresAt).toLocaleString()}</dd>
            </div>
          )}
        </dl>
        <button type="button" class="button" onClick={() => leave()}>
          Sign out
        </button>
        <p class="hint">The key is kept for this tab only.</p>
      </div>
    </>
  );
}
