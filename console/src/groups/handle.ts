import { type Group, openGroup } from "@skerry/client/groups";
import { useEffect, useMemo } from "preact/hooks";
import type { Api } from "../platform/api.ts";

/** The SDK's group for calls, for as long as the page is there. Nothing is sent before it is used, and its sockets close when they are not. */
export function useHandle(api: Api, name: string): Group {
  const group = useMemo(() => openGroup(api.client, name), [api, name]);
  useEffect(() => () => group.close(), [group]);
  return group;
}
