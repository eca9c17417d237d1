import type { ComponentType } from "preact";
import { useEffect, useErrorBoundary, useState } from "preact/hooks";
import type { Page, PageProps } from "./page.ts";
import type { Api } from "./platform/api.ts";
import { loadPage } from "./platform/load.ts";
import { type Session, session } from "./platform/session.ts";
import { page } from "./router.ts";
import { AnonymousBanner } from "./ui/anonymous.tsx";
import { EndingBanner } from "./ui/ending.tsx";
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
  }, [open]);
  return (
    <>
      {/* A button: the fragment of the address is the page's name. */}
      <button type="button" class="skip" onClick={() => document.getElementById("content")?.focus()}>
        Skip to the content
      </button>
      <Header session={session} />
      <AnonymousBanner grants={session.anonymousGrants} />
      <EndingBanner />
      <main id="content" tabIndex={-1}>
        <Loaded key={open.path} page={open} session={session} api={api} />
      </main>
    </>
  );
}

/** A page, once its code is here. Without an answer it is asked for again and again. */
function Loaded({ page, ...props }: PageProps & { page: Page }) {
  const [Content, setContent] = useState<ComponentType<PageProps> | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    const gone = new AbortController();
    void loadPage(page, gone.signal, () => setFailed(true)).then((module) => module && setContent(() => module.default));
    return () => gone.abort();
  }, [page]);
  const [broken, mend] = useErrorBoundary((thrown) => console.error(thrown));
  if (broken !== undefined) {
    return (
      <div class="page-problem" role="alert">
        <p class="problem">This page broke: {(broken as Error).message}. That is a mistake of ours; what is stored is not affected.</p>
        <button type="button" class="button" onClick={mend}>
          Show it again
        </button>
      </div>
    );
  }
  if (Content !== null) return <Content {...props} />;
  if (!failed) return null;
  return (
    <p class="problem page-problem" role="alert">
      This page could not be loaded: the server does not answer. Trying again.
    </p>
  );
}
