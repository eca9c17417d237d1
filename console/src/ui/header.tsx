import { useRef } from "preact/hooks";
import { PAGES } from "../pages.ts";
import { connections, detailOf, overall } from "../platform/connections.ts";
import { leave, lifetime, type Session } from "../platform/session.ts";
import { hrefOf, page } from "../router.ts";
import { moment } from "./format.ts";
import { Down, Mark, Moon, Person, Sun } from "./icons.tsx";
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
      <Pages />
      <div class="bar-end">
        <ConnectionStatus />
        <ThemeToggle />
        <Account session={session} />
      </div>
    </header>
  );
}

/** What is not a page of the console, but of the same deployment. */
const BESIDE = [
  { href: "/guide/", title: "Guide" },
  { href: "/docs", title: "Reference" },
];

/** The pages in a row; where there is no room for that, behind a button that says which one it is. */
function Pages() {
  const list = useRef<HTMLElement>(null);
  const close = () => {
    if (list.current?.matches(":popover-open")) list.current.hidePopover();
  };
  return (
    <>
      <button type="button" class="menu" popovertarget="pages" aria-label={`Pages: ${page.value.title}`}>
        <span>{page.value.title}</span>
        <Down />
      </button>
      <nav ref={list} id="pages" class="pages" popover="auto" aria-label="Pages">
        {PAGES.map(({ path, title }) => (
          <a key={path} href={hrefOf(path)} aria-current={page.value.path === path ? "page" : undefined} onClick={close}>
            {title}
          </a>
        ))}
        {BESIDE.map(({ href, title }) => (
          <a key={href} href={href} class="beside-page">
            {title}
          </a>
        ))}
      </nav>
    </>
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
          {lifetime.value.expiresAt !== null && (
            <div>
              <dt>Until</dt>
              <dd>{moment(lifetime.value.expiresAt)}</dd>
            </div>
          )}
        </dl>
        <button type="button" class="button" onClick={() => leave()}>
          Sign out
        </button>
        <p class="hint">
          {session.admin ? "The key is" : "What you signed in with is"} kept for this tab only
          {lifetime.value.expiresAt !== null && ", and refreshed before it ends, for as long as it can be"}.
        </p>
      </div>
    </>
  );
}
