import { allows, type Right } from "../../../core/wire/grant.ts";
import type { Capability } from "../../../core/wire/names.ts";
import type { Session } from "./session.ts";

/** Whether who uses the page may do this; what may not be done is not offered. The server decides in any case. */
export function may(session: Session, capability: Capability, name: string, right: Right): boolean {
  return allows(session.grants, capability, name, right);
}

/** Whether there is any name on which this may be done. */
export function mayAnywhere(session: Session, capability: Capability, right: Right): boolean {
  return session.grants.some((grant) => allows([{ ...grant, name: "*" }], capability, "*", right));
}
