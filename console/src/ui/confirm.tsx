import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { errorOf } from "../../../core/wire/errors.ts";
import { Problem } from "./problem.tsx";

type ConfirmProps = {
  title: string;
  /** What will be gone, or will change. */
  children: ComponentChildren;
  /** The button that does it, such as "Delete the topic". */
  action: string;
  run: () => Promise<unknown>;
  /** Hears that it was done, or that the dialog was left. */
  onEnd: (done: boolean) => void;
};

/** Asks before something that cannot be undone. Escape and Cancel leave it; what the server refuses is said in it. */
export function Confirm({ title, children, action, run, onEnd }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => dialog.current!.showModal(), []);
  const confirm = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await run();
      onEnd(true);
    } catch (thrown) {
      setBusy(false);
      setProblem(errorOf(thrown).message);
    }
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby={id} onClose={() => onEnd(false)}>
      <h2 id={id}>{title}</h2>
      {children}
      <Problem text={problem} />
      <div class="actions">
        <button type="button" class="button" onClick={() => dialog.current!.close()}>
          Cancel
        </button>
        <button type="button" class="button button-bad" disabled={busy} onClick={confirm}>
          {busy ? "One moment …" : action}
        </button>
      </div>
    </dialog>
  );
}
