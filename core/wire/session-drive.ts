import { SkerryError } from "./errors.ts";
import type { CallFrame, StreamPosition } from "./frames.ts";
import type { Ask, Effect, Reply, Session } from "./session.ts";

/** What a shell does for one socket. Everything but `verify` is synchronous, as a Durable Object's storage is. */
export interface SessionShell {
  /** Stores the session's state in the socket's attachment. */
  save(state: string): void;
  send(text: string): void;
  close(code: number, reason: string): void;
  /**
   * Reads from the target. Throw a `SkerryError` to refuse. Return null to answer later: then pass the effects of
   * {@link Session.answer} or {@link Session.refuse} to {@link perform} yourself.
   */
  ask(ask: Ask): Reply | null;
  /** Checks the token, then passes the effects of `tokenAccepted` or `tokenRefused` to {@link perform}. */
  verify(token: string): void;
  acked(id: number, target: string, position: StreamPosition): void;
  /** Takes the calls of a frame; only for sockets that answer calls. */
  call?(frame: CallFrame): void;
}

/**
 * Performs the effects of any input to `session`, in order, and the effects of the asks it can answer at once. Call it
 * also when there are none: the state may have changed. `now` is Unix milliseconds.
 * @example perform(session, session.onFrame(text, now), shell, now)
 */
export function perform(session: Session, effects: Effect[], shell: SessionShell, now: number): void {
  const rounds = [effects];
  for (let round = rounds.shift(); round !== undefined; round = rounds.shift()) {
    shell.save(session.save());
    for (const effect of round) {
      switch (effect.kind) {
        case "send":
          shell.send(effect.text);
          break;
        case "ask": {
          const outcome = read(shell, effect.ask);
          if (outcome instanceof SkerryError) rounds.push(session.refuse(effect.ask.ticket, outcome));
          else if (outcome !== null) rounds.push(session.answer(effect.ask.ticket, outcome, now));
          break;
        }
        case "verify":
          shell.verify(effect.token);
          break;
        case "acked":
          shell.acked(effect.id, effect.target, effect.position);
          break;
        case "call":
          shell.call?.(effect.frame);
          break;
        case "close":
          shell.close(effect.code, effect.reason);
          break;
        default:
          effect satisfies never;
      }
    }
  }
}

function read(shell: SessionShell, ask: Ask): Reply | null | SkerryError {
  try {
    return shell.ask(ask);
  } catch (error) {
    if (error instanceof SkerryError) return error;
    throw error;
  }
}
