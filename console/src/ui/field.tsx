import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

type FieldProps = {
  label: string;
  hint?: string;
  small?: boolean;
  /** Given the id that its control must carry. */
  children: (id: string) => ComponentChildren;
};

/** A control with its label above. */
export function Field({ label, hint, small = false, children }: FieldProps) {
  const id = useId();
  return (
    <div class={small ? "field field-small" : "field"}>
      <label for={id}>
        {label} {hint !== undefined && <small>{hint}</small>}
      </label>
      {children(id)}
    </div>
  );
}
