import type { Effects } from "../../core/consensus/replica/replica.ts";
import { Alarms } from "../shared/alarms.ts";

/** What happens when a time has come. */
export type WakeupHandlers = {
  /** The timer: {@link Effects.wakeIn} has passed. */
  wake(): void;
  /** The alarm for leases: {@link Effects.alarmAt} is here. */
  lease(): void;
  /** The token of a socket has ended. */
  expire(): void;
  failed(name: string, error: unknown): void;
};

/** The one timer and the one alarm of a replica's object. A timer lives while there is work; an alarm outlives the object's memory. */
export class Wakeups {
  readonly #alarms: Alarms;
  readonly #handlers: WakeupHandlers;
  #timer: { at: number; handle: ReturnType<typeof setTimeout> } | null = null;
  /** When the lease alarm is known to be set for; `undefined` while unknown (after a wake). */
  #armed: number | null | undefined;

  constructor(storage: DurableObjectStorage, handlers: WakeupHandlers) {
    this.#alarms = new Alarms(storage);
    this.#handlers = handlers;
  }

  /** What the replica said last takes the place of what it said before; an alarm that is set for earlier does no harm. */
  set({ wakeIn, alarmAt }: Pick<Effects, "wakeIn" | "alarmAt">): void {
    this.#setTimer(wakeIn);
    if (alarmAt === null) return;
    if (this.#armed === undefined) this.#armed = this.#alarms.at("lease");
    if (this.#armed !== null && this.#armed <= alarmAt) return;
    this.#armed = alarmAt;
    this.#alarms.schedule("lease", alarmAt);
  }

  /** A socket's token ends at `at`, Unix milliseconds; null: never. */
  expires(at: number | null): void {
    if (at !== null) this.#alarms.scheduleBy("expiry", at);
  }

  /** The body of the object's `alarm()`. */
  async fire(now: number): Promise<void> {
    const handle = (name: string) => {
      if (name === "expiry") this.#handlers.expire();
      if (name !== "lease") return;
      this.#armed = null;
      this.#handlers.lease();
    };
    await this.#alarms.fire(now, handle, (name, error) => this.#handlers.failed(name, error));
  }

  stop(): void {
    this.#setTimer(null);
  }

  /** After `deleteAll()`, which takes the alarm with it. */
  forget(): void {
    this.#alarms.forget();
    this.#armed = null;
  }

  #setTimer(wakeIn: number | null): void {
    const at = wakeIn === null ? null : Date.now() + wakeIn;
    // One that goes off too early only looks again.
    if (this.#timer !== null && at !== null && this.#timer.at <= at) return;
    if (this.#timer !== null) clearTimeout(this.#timer.handle);
    this.#timer = null;
    if (at === null) return;
    const wake = () => {
      this.#timer = null;
      this.#handlers.wake();
    };
    this.#timer = { at, handle: setTimeout(wake, wakeIn!) };
  }
}
