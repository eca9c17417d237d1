import { useState } from "preact/hooks";
import type { Api } from "./api.ts";

/** Deletes what is at `path`. While it is `going` nobody should ask for it: the answer would be that it is not there. */
export function useRemoval(api: Api, path: string): { going: boolean; remove(): Promise<void> } {
  const [going, setGoing] = useState(false);
  const remove = async () => {
    setGoing(true);
    try {
      await api.send("DELETE", path);
    } catch (thrown) {
      setGoing(false);
      throw thrown;
    }
  };
  return { going, remove };
}
