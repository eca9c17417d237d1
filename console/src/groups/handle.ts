import { type Group, openGroup } from "@skerry/client/groups";
import { useMemo } from "preact/hooks";
import type { Api } from "../platform/api.ts";

/** The SDK's group for calls. Nothing is sent before it is used, and its sockets close by themselves when they are not. */
export function useHandle(api: Api, name: string): Group {
  return useMemo(() => openGroup(api.client, name), [api, name]);
}
