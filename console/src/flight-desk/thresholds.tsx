import { useEffect, useRef, useState } from "preact/hooks";
import { errorOf } from "../../../core/wire/errors.ts";
import { DEFAULT_THRESHOLDS, isDelay, isScore, MAX_DELAY, type Thresholds } from "../../../topologies/flight-thresholds.ts";
import { Field } from "../ui/field.tsx";
import { whole } from "../ui/format.ts";
import { Problem } from "../ui/problem.tsx";
import { useAction } from "../ui/use-action.ts";
import type { Duty } from "./duty.ts";

/** From where on a flight is unusual: what the group holds, live in every tab, and a form for whoever may write to it. */
export function DeskThresholds({ duty, mayChange }: { duty: Duty; mayChange: boolean }) {
  const [editing, setEditing] = useState(false);
  const change = useRef<HTMLButtonElement>(null);
  const wasEditing = useRef(false);
  useEffect(() => {
    // Whoever closes the form by keyboard goes on from where it was opened.
    if (wasEditing.current && !editing) change.current?.focus();
    wasEditing.current = editing;
  }, [editing]);
  const { score, delay } = duty.thresholds.value;
  return (
    <>
      <div class="actions">
        <span data-testid="thresholds" role="status">
          Unusual is a flight with a score of <b>{shown(score)}</b> or more
          {delay !== null && (
            <>
              {" "}
              that is <b>{whole(delay)} min</b> late or more
            </>
          )}
          .
        </span>
        {mayChange && !editing && (
          <button ref={change} type="button" class="button button-small" onClick={() => setEditing(true)}>
            Change thresholds
          </button>
        )}
      </div>
      {mayChange && editing && <Form duty={duty} onClose={() => setEditing(false)} />}
    </>
  );
}

function Form({ duty, onClose }: { duty: Duty; onClose: () => void }) {
  // What the form began with: whoever changes it meanwhile is not overwritten unseen.
  const [began, setBegan] = useState(duty.thresholds.value);
  const [score, setScore] = useState(shown(began.score));
  const [delay, setDelay] = useState(began.delay === null ? "" : String(began.delay));
  const { busy, problem, run, say } = useAction();
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);

  const save = async (wanted: Thresholds) => {
    try {
      await duty.set(wanted, began.revision);
      onClose();
    } catch (thrown) {
      if (errorOf(thrown).code !== "conflict") throw thrown;
      setBegan(duty.thresholds.value);
      say("Somebody else changed them meanwhile. Look above at what they are now; save again to replace that.");
    }
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const wanted = {
      score: score === shown(began.score) ? began.score : Number(score),
      delay: delay.trim() === "" ? null : Number(delay),
    };
    if (score.trim() === "" || !isScore(wanted.score)) say("The score is a number from 0 to 1.");
    else if (wanted.delay !== null && !isDelay(wanted.delay))
      say(`The delay is a number of minutes, at most ${whole(MAX_DELAY)}; or nothing.`);
    else void run(() => save(wanted));
  };
  return (
    <form
      class="form thresholds"
      aria-label="Thresholds"
      noValidate
      onSubmit={submit}
      onKeyDown={({ key }) => key === "Escape" && onClose()}
    >
      <div class="fields">
        <Field label="Score from" hint="0 to 1">
          {(id) => (
            <input
              id={id}
              class="input"
              ref={first}
              type="number"
              min="0"
              max="1"
              step="any"
              value={score}
              onInput={({ currentTarget }) => setScore(currentTarget.value)}
            />
          )}
        </Field>
        <Field label="Late from" hint="minutes">
          {(id) => (
            <input
              id={id}
              class="input"
              type="number"
              step="any"
              placeholder="any delay"
              value={delay}
              onInput={({ currentTarget }) => setDelay(currentTarget.value)}
            />
          )}
        </Field>
      </div>
      <div class="actions">
        <button type="submit" class="button button-small button-main" disabled={busy}>
          {busy ? "Saving …" : "Save"}
        </button>
        <button type="button" class="button button-small" disabled={busy} onClick={() => void run(() => save(DEFAULT_THRESHOLDS))}>
          As the model was trained
        </button>
        <button type="button" class="button button-small" onClick={onClose}>
          Cancel
        </button>
      </div>
      <Problem text={problem} />
    </form>
  );
}

/** A trained threshold has more digits than anybody reads. */
function shown(score: number): string {
  return String(Math.round(score * 1_000) / 1_000);
}
