import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Page, PageProps } from "./page.ts";
import type { Api } from "./platform/api.ts";
import { type Session, session } from "./platform/session.ts";
import { page } from "./router.ts";
import { AnonymousBanner } from "./ui/anonymous.tsx";
import { Header } from "./ui/header.tsx";
import { SignIn } from "./ui/sign-in.tsx";

/** The console: a sign-in, or a page in its frame. */
export function App() {
  const known = session.value;
  switch (known.state) {
    case "checking":
      return (
        <p class="checking" role="status">
          {known.detail}
        </p>
      );
    case "out":
      return <SignIn reason={known.reason} anonymousGrants={known.anonymousGrants} />;
    case "in":
      return <Frame session={known.session} api={known.api} />;
    default:
      return known satisfies never;
  }
}

function Frame({ session, api }: { session: Session; api: Api }) {
  const open = page.value;
  useEffect(() => {
    document.title = `${open.title} · Skerry`;
    // On a phone the navigation is wider than the bar. Scrolled by itself: scrollIntoView would move where Tab goes on from.
    const link = document.querySelector<HTMLElement>(".bar nav [aria-current]");
    const nav = link?.parentElement;
    if (link && nav) nav.scrollLeft = link.offsetLeft - nav.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
  }, [open]);
  return (
    <>
      {/* A button: the fragment of the address is the page's name. */}
      <button type="button" class="skip" onClick={() => document.getElementById("content")?.focus()}>
        Skip to the content
      </button>
      <Header session={session} />
      <AnonymousBanner grants={session.anonymousGrants} />
      <main id="content" tabIndex={-1}>
        <Loaded key={open.path} page={open} session={session} api={api} />
      </main>
    </>
  );
}

/** A page, once its code is here. */
function Loaded({ page, ...props }: PageProps & { page: Page }) {
  const [loaded, setLoaded] = useState<{ Content: ComponentType<PageProps> } | { failed: true } | null>(null);
  useEffect(() => {
    page.load().then(
      (module) => setLoaded({ Content: module.default }),
      () => setLoaded({ failed: true }),
    );
  }, [page]);
  if (loaded === null) return null;
  if ("failed" in loaded) {
    return (
      <p class="problem page-problem" role="alert">
        This page could not be loaded: the server does not answer, or has been updated. Reload to try again.
      </p>
    );
  }
  return <loaded.Content {...props} />;
}
