import type { ComponentType } from "preact";
import type { Api } from "./platform/api.ts";
import type { Session } from "./platform/session.ts";

/** What every page is given: who uses it, and calls in their name. */
export type PageProps = { api: Api; session: Session };

/** One page of the console: `path` is what follows `#/` in the address; its code is loaded when it is first opened. */
export type Page = { path: string; title: string; load: () => Promise<{ default: ComponentType<PageProps> }> };
