import { useRef } from "preact/hooks";
import { lifetime, signIn } from "../platform/session.ts";
import { timeOfDay } from "./format.ts";
import { Warning } from "./icons.tsx";
import { useAction } from "./use-action.ts";

/** Says, before a session ends that cannot be prolonged, that it does, and takes another credential in its place. */
export function EndingBanner() {
  const { expiresAt, ending } = lifetime.value;
  const input = useRef<HTMLInputElement>(null);
  const { busy, problem, run, say } = useAction();
  if (ending === null || expiresAt === null) return null;
  const submit = (event: Event) => {
    event.preventDefault();
    const credential = input.current!.value.trim();
    if (credential === "") return say("Paste another key or token first.");
    void run(() => signIn(credential));
  };
  return (
    <section class="banner ending" aria-label="The session ends">
      <Warning />
      <p role="alert">
        <strong>This session ends at {timeOfDay(expiresAt)}:</strong> {ending}
      </p>
      <form onSubmit={submit} noValidate>
        <label class="visually-hidden" for="next-credential">
          Another key or token
        </label>
        <input
          ref={input}
          id="next-credential"
          class="input"
          type="password"
          placeholder="another key or token"
          autocomplete="off"
          spellcheck={false}
          aria-invalid={problem !== null}
          aria-describedby="next-credential-problem"
        />
        <button type="submit" class="button button-small" disabled={busy}>
          Go on with it
        </button>
        <span id="next-credential-problem" class="bad" role="status">
          {problem}
        </span>
      </form>
    </section>
  );
}
