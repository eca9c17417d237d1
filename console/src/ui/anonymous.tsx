import type { Grant } from "../../../core/wire/grant.ts";
import { Warning } from "./icons.tsx";

/** Says loudly what anyone who reaches this deployment may do without a token. */
export function AnonymousBanner({ grants }: { grants: readonly Grant[] }) {
  if (grants.length === 0) return null;
  return (
    <div class="banner" role="alert">
      <Warning />
      <p>
        <strong>Anyone can use this deployment without a token:</strong>{" "}
        {grants.map(({ capability, name, rights }, index) => (
          <span key={`${capability}/${name}/${rights}`}>
            {index > 0 && ", "}
            <b>{rights.join(" and ")}</b> on {capability === "*" ? "everything" : capability} <code>{name}</code>
          </span>
        ))}
        . It is set by <code>SKERRY_ANONYMOUS_GRANTS</code>.
      </p>
    </div>
  );
}
