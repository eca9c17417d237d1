import { useState } from "preact/hooks";
import { errorOf } from "../../../core/wire/errors.ts";

export type Action = {
  busy: boolean;
  problem: string | null;
  run: (work: () => Promise<void>) => Promise<void>;
  say: (problem: string | null) => void;
};

/** One thing a form does: whether it is under way, and the sentence of what was wrong with it. */
export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [problem, say] = useState<string | null>(null);
  const run = async (work: () => Promise<void>) => {
    setBusy(true);
    say(null);
    try {
      await work();
    } catch (thrown) {
      say(errorOf(thrown).message);
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, run, say };
}
