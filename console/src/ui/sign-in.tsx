import { useRef, useState } from "preact/hooks";
import { errorOf } from "../../../core/wire/errors.ts";
import type { Grant } from "../../../core/wire/grant.ts";
import { signIn } from "../platform/session.ts";
import { AnonymousBanner } from "./anonymous.tsx";
import { ThemeToggle } from "./header.tsx";
import { Mark } from "./icons.tsx";

/** The only page without a session. `reason` says why a session ended. */
export function SignIn({ reason, anonymousGrants }: { reason: string | null; anonymousGrants: readonly Grant[] }) {
  const input = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState<string | null>(reason);
  const [busy, setBusy] = useState(false);

  const enter = async (credential: string | null) => {
    setBusy(true);
    setProblem(null);
    try {
      await signIn(credential);
    } catch (thrown) {
      setBusy(false);
      setProblem(errorOf(thrown).message);
      input.current?.focus();
      input.current?.select();
    }
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const credential = input.current?.value.trim() ?? "";
    if (credential !== "") return void enter(credential);
    setProblem("Paste the admin key or a token first.");
    input.current?.focus();
  };

  return (
    <div class="gate">
      <Sea />
      <div class="gate-top">
        <ThemeToggle />
      </div>
      <main class="gate-card">
        <h1>
          <Mark size={40} />
          Skerry
        </h1>
        <AnonymousBanner grants={anonymousGrants} />
        <form onSubmit={submit} noValidate>
          <label for="credential">Admin key or token</label>
          <input
            ref={input}
            id="credential"
            type="password"
            autocomplete="off"
            spellcheck={false}
            aria-invalid={problem !== null}
            aria-describedby="credential-hint credential-problem"
          />
          <p id="credential-problem" class="problem" role="alert" hidden={problem === null}>
            {problem}
          </p>
          <button type="submit" class="button button-main" disabled={busy}>
            {busy ? "Signing in…" : "Sign in"}
          </button>
          <p id="credential-hint" class="hint">
            <code>npm start</code> prints the admin key. It is kept for this tab only.
          </p>
        </form>
        {anonymousGrants.length > 0 && (
          <button type="button" class="button" disabled={busy} onClick={() => enter(null)}>
            Go on without a token
          </button>
        )}
      </main>
    </div>
  );
}

/** Skerries at the edge of the sea. */
function Sea() {
  return (
    <svg class="sea" viewBox="0 0 1440 420" preserveAspectRatio="xMidYMax slice" aria-hidden="true" focusable="false">
      <path class="rock-far" d="M905 236c42-48 66-84 92-88 24-4 30 18 52 22 26 4 40-34 70-32 34 2 52 40 86 52 20 8 56 18 74 46z" />
      <path class="rock-near" d="M150 290c34-36 52-102 88-114 26-8 36 26 58 30 18 4 30-14 50-8 38 10 56 54 102 92z" />
      <path
        class="wave-1"
        d="M-20 214c60 0 60 14 120 14c60 0 60 -14 120 -14c60 0 60 14 120 14c60 0 60 -14 120 -14c60 0 60 14 120 14c60 0 60 -14 120 -14c60 0 60 14 120 14c60 0 60 -14 120 -14c60 0 60 14 120 14c60 0 60 -14 120 -14c60 0 60 14 120 14c60 0 60 -14 120 -14c60 0 60 14 120 14V420H-20z"
      />
      <path
        class="wave-2"
        d="M-60 286c70 0 70 18 140 18c70 0 70 -18 140 -18c70 0 70 18 140 18c70 0 70 -18 140 -18c70 0 70 18 140 18c70 0 70 -18 140 -18c70 0 70 18 140 18c70 0 70 -18 140 -18c70 0 70 18 140 18c70 0 70 -18 140 -18c70 0 70 18 140 18c70 0 70 -18 140 -18V420H-60z"
      />
      <path
        class="wave-3"
        d="M-100 352c80 0 80 20 160 20c80 0 80 -20 160 -20c80 0 80 20 160 20c80 0 80 -20 160 -20c80 0 80 20 160 20c80 0 80 -20 160 -20c80 0 80 20 160 20c80 0 80 -20 160 -20c80 0 80 20 160 20c80 0 80 -20 160 -20c80 0 80 20 160 20V420H-100z"
      />
    </svg>
  );
}
