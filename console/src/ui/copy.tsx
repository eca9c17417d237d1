import { useSignal } from "@preact/signals";
import { Check, Copy } from "./icons.tsx";

/** A line to take elsewhere: a command, a token. `what` names it for the button. */
export function Copyable({ text, what }: { text: string; what: string }) {
  const copied = useSignal(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    copied.value = true;
    setTimeout(() => (copied.value = false), 2000);
  };
  return (
    <div class="command">
      <code>{text}</code>
      {/* The clipboard is only there in a secure context. */}
      {navigator.clipboard !== undefined && (
        <button type="button" class="icon-button" aria-label={copied.value ? "Copied" : `Copy the ${what}`} onClick={copy}>
          {copied.value ? <Check /> : <Copy />}
        </button>
      )}
    </div>
  );
}
