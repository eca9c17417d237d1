import { signal } from "@preact/signals";
import { errorOf } from "../../../core/wire/errors.ts";
import type { Grant } from "../../../core/wire/grant.ts";
import { Api } from "./api.ts";
import { type Lifetime, LifetimeKeeper } from "./lifetime.ts";

/** What `GET /v1/session` says. `anonymousGrants` is what anyone may do without a token. */
export type Session = {
  project: string;
  subject: string;
  admin: boolean;
  tokenId: string | null;
  expiresAt: number | null;
  grants: Grant[];
  anonymousGrants: Grant[];
};

export type SessionState =
  | { state: "checking"; detail: string | null }
  | { state: "out"; reason: string | null; anonymousGrants: Grant[] }
  | { state: "in"; session: Session; api: Api };

/** Who uses this tab. */
export const session = signal<SessionState>({ state: "checking", detail: null });
/** How long they may: apart from the session, which is the same after its token was refreshed. */
export const lifetime = signal<Lifetime>({ expiresAt: null, ending: null });
let keeper: LifetimeKeeper | null = null;

/** For the tab only: nothing is left behind once it is closed, and other tabs sign in by themselves. */
const KEPT = "skerry.credential";
const RETRY = 2_000;

/** Takes up the tab's credential after a reload; waits for a server that does not answer yet. */
export async function restore(): Promise<void> {
  const kept = sessionStorage.getItem(KEPT);
  for (;;) {
    try {
      const found = await ask(kept);
      if (kept !== null) enter(kept, found);
      else session.value = { state: "out", reason: null, anonymousGrants: found.anonymousGrants };
      return;
    } catch (thrown) {
      const { code, message } = errorOf(thrown);
      if (code !== "unavailable") return leave(message);
      session.value = { state: "checking", detail: `${message} Trying again.` };
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}

/** Signs in by admin key or token, or without either. Throws a sentence that says what is wrong with it. */
export async function signIn(credential: string | null): Promise<void> {
  const found = await ask(credential);
  if (credential !== null) sessionStorage.setItem(KEPT, credential);
  enter(credential, found);
}

/** Forgets the credential, and says why if it was not the user's wish. */
export function leave(reason: string | null = null): void {
  sessionStorage.removeItem(KEPT);
  keeper?.stop();
  keeper = null;
  lifetime.value = { expiresAt: null, ending: null };
  const known = session.value;
  const anonymousGrants = known.state === "in" ? known.session.anonymousGrants : known.state === "out" ? known.anonymousGrants : [];
  session.value = { state: "out", reason, anonymousGrants };
}

function enter(credential: string | null, found: Session): void {
  keeper?.stop();
  // What a session before this one asked may be refused later than this one began.
  const api: Api = new Api(credential, (error) => isCurrent(api) && leave(error.message), found.admin);
  keeper = found.expiresAt === null ? null : keep(found.expiresAt, api);
  lifetime.value = { expiresAt: found.expiresAt, ending: null };
  session.value = { state: "in", session: found, api };
}

function keep(expiresAt: number, api: Api): LifetimeKeeper {
  const refresh = async () => {
    const minted = await api.refresh();
    if (isCurrent(api)) sessionStorage.setItem(KEPT, minted.token);
    return minted;
  };
  return new LifetimeKeeper(expiresAt, refresh, {
    changed: (changed) => {
      lifetime.value = changed;
    },
    // The answer, if it is a refusal, ends the session.
    ended: () => void api.get("/v1/session").catch(() => {}),
    refused: (error) => api.refused(error),
  });
}

function isCurrent(api: Api): boolean {
  return session.value.state === "in" && session.value.api === api;
}

function ask(credential: string | null): Promise<Session> {
  return new Api(credential).get<Session>("/v1/session");
}
