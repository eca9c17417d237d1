import { computed, signal } from "@preact/signals";
import { sum, type TopologyStatus } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { report } from "../platform/connections.ts";
import { type Poll, poll } from "../platform/poll.ts";

/** Counts at one moment (Unix milliseconds), and records a second since the moment before; null where there was none close by. */
export type Sample = { at: number; appended: number; applied: number; appendRate: number | null; applyRate: number | null };

export const TOPOLOGY = "flight-desk";
const NAME = "Counters";
/** While records arrive, and while none do: a page left open should cost little. */
const BUSY_MS = 1_000;
const IDLE_MS = 5_000;
const IDLE_AFTER = 20_000;
/** Seconds that the line shows. */
export const SPAN = 120;
/** Samples further apart say nothing about the time between them. */
const GAP_MS = 8_000;

/** Records appended and applied over time, from the state of the topology's tasks. */
export class Counters {
  readonly topology = signal<TopologyStatus | null>(null);
  readonly samples = signal<readonly Sample[]>([]);
  /** Records appended a second, over the last three seconds: batches come in bursts. */
  readonly rate = computed(() => rateOver(this.samples.value, 3_000));
  readonly total = computed(() => this.samples.value.at(-1) ?? null);
  readonly #poll: Poll;
  #changed = Date.now();
  #away = false;

  /** `onBack` hears that the server answers again after it did not. */
  constructor(api: Api, onBack: () => void) {
    this.#poll = poll(
      async (signal) => this.#take(await api.get<TopologyStatus>(`/v1/topologies/${TOPOLOGY}`, signal)),
      () => (Date.now() - this.#changed < IDLE_AFTER ? BUSY_MS : IDLE_MS),
      (connection) => {
        if (connection.state === "live" && this.#away) onBack();
        this.#away = connection.state === "waiting";
        report(NAME, connection);
      },
    );
  }

  /** Something moved: asks at once if the last answer is old. */
  wake(): void {
    if (Date.now() - this.#changed >= IDLE_AFTER) {
      this.#changed = Date.now();
      this.#poll.wake();
    }
  }

  close(): void {
    this.#poll.stop();
    report(NAME, null);
  }

  #take(status: TopologyStatus): void {
    const at = Date.now();
    const appended = status.tasks.reduce((all, { head }) => all + sum(head), 0);
    const applied = status.tasks.reduce((all, task) => all + sum(task.applied), 0);
    const last = this.samples.value.at(-1);
    // Counts only grow, unless the topic was deleted and made anew.
    const known = last !== undefined && appended >= last.appended && applied >= last.applied ? last : null;
    if (known === null || known.appended !== appended || known.applied !== applied) this.#changed = at;
    const seconds = known === null || at - known.at > GAP_MS ? null : (at - known.at) / 1000;
    const sample: Sample = {
      at,
      appended,
      applied,
      appendRate: seconds === null ? null : (appended - known!.appended) / seconds,
      applyRate: seconds === null ? null : (applied - known!.applied) / seconds,
    };
    const kept = this.samples.value.filter((each) => each.at > at - (SPAN + 10) * 1000);
    this.samples.value = known === null ? [sample] : [...kept, sample];
    this.topology.value = status;
  }
}

function rateOver(samples: readonly Sample[], ms: number): number | null {
  const last = samples.at(-1);
  const first = samples.find(({ at }) => last !== undefined && at >= last.at - ms - 500);
  if (last === undefined || first === undefined || first === last || last.appendRate === null) return last?.appendRate ?? null;
  return ((last.appended - first.appended) * 1000) / (last.at - first.at);
}
