import { ROOM_OPTIONS } from "../../core/crdt/options.ts";
import { PRICES } from "../../core/usage/prices.ts";

/** What is billed, per second or per month. Units are those of the price list. */
export type Load = Partial<Record<keyof typeof PRICES, number>>;

/** Records that arrive steadily at a topology. */
export type StreamLoad = {
  /** Appends a second, each with the headers of an idempotent producer. */
  appends: number;
  /** Partitions of the topic, and how many of them an append has records for. */
  partitions: number;
  shares: number;
  /** Outputs a second that the topology writes to a topic with a reader. */
  outputs: number;
  /** Partitions of the topics that it writes, each with a task. */
  derived: number;
};

/** One room while people type in it. */
export type RoomLoad = { typists: number; keysPerSecond: number };

/** Seconds after which a partition asks a task that it rang, and between two alarms of a task with work. */
const RING_SECONDS = 3;
const BUSY_SECONDS = 5;
/**
 * Seconds that an object is billed for a piece of work: calls to queues and neighbours included (an estimate: nobody has measured it
 * deployed), and those that a task waits to gather an output (`every`, a second in the examples). An object that could sleep is not billed.
 */
const WORK_SECONDS = 0.05;
const EMIT_SECONDS = 1;

/**
 * Rows a second by /v1/usage: every partition notes the producer's number; a share is a row in its log and a row in the
 * journal of its task; an output is a row of the emission, the batch and its number at the receiver, and a row of the task that reads it.
 */
export function streamRows({ appends, partitions, shares, outputs }: StreamLoad): number {
  return appends * (partitions + 2 * shares) + 4 * outputs;
}

/** Rows a second of a room: what comes within the commit delay of an edit is one row. Snapshots, later, delete each again. */
export function roomRows({ typists, keysPerSecond }: RoomLoad): number {
  const edits = typists * keysPerSecond;
  return edits / (Math.floor((edits * ROOM_OPTIONS.commitDelay) / 1000) + 1);
}

/** All that a second of a stream costs: rows and requests, and the alarms, doorbells and time awake that the account does not see. */
export function streamSecond(load: StreamLoad): Load {
  const { appends, partitions, shares, outputs, derived } = load;
  const logs = partitions + derived;
  const bills = logs * Math.min(2 * appends, 1 / BUSY_SECONDS);
  const alarms = logs * Math.min(appends, 1 / RING_SECONDS) + bills;
  const doorbells = appends * shares + outputs;
  return {
    // Consumers are called for one doorbell or several: as often as there are appends and outputs at the most.
    workerRequest: 2 * appends + outputs,
    objectRequest: appends * partitions + doorbells + outputs + alarms,
    // A deadline is a row when it is set and one when it is over; a task tells the account what it wrote.
    rowWritten: streamRows(load) + 2 * alarms + bills,
    alarm: alarms,
    queueMessage: doorbells,
    objectSecond: logs * (Math.min(1, appends * WORK_SECONDS) + Math.min(1, appends * (outputs > 0 ? EMIT_SECONDS : WORK_SECONDS))),
  };
}

/** All that a second of typing in one room costs: each key is a message, and so is the cursor that it moves. */
export function roomSecond(load: RoomLoad): Load {
  const commits = roomRows(load);
  const awake = Math.min(1, commits * (ROOM_OPTIONS.commitDelay / 1000 + WORK_SECONDS));
  return { socketMessageIn: 2 * load.typists * load.keysPerSecond, rowWritten: 2 * commits, objectSecond: awake };
}

export const times = (load: Load, factor: number): Load =>
  Object.fromEntries(Object.entries(load).map(([what, amount]) => [what, amount * factor]));

/** Dollars at list price. */
export function dollarsOf(load: Load): number {
  return Object.entries(load).reduce((sum, [what, amount]) => sum + (amount * PRICES[what as keyof typeof PRICES]) / 1e6, 0);
}

const HOUR = 3600;
const MONTH = 30 * 24 * HOUR;

/** The deployments of docs/costs.md, a month each. */
export const DEPLOYMENTS: Record<string, Load> = {
  // 50 people, half an hour of keys a working day, two and a half of them in a room on average.
  "Notes of a team of 50": times(roomSecond({ typists: 2.5, keysPerSecond: 4 }), ((50 * 22) / 2.5) * (HOUR / 2)),
  // 16,000 flights a day, sent every ten seconds.
  "The flight desk in real time": times(streamSecond({ appends: 0.1, partitions: 4, shares: 1.5, outputs: 0.15, derived: 3 }), MONTH),
  "1,000 sensor records a second, one append": times(streamSecond({ appends: 1, partitions: 4, shares: 4, outputs: 4, derived: 1 }), MONTH),
  "The same, each record an append": times(streamSecond({ appends: 1000, partitions: 4, shares: 1, outputs: 4, derived: 1 }), MONTH),
};

/** What the parts of a bill are for. */
const PARTS: Record<string, (keyof typeof PRICES)[]> = {
  requests: ["workerRequest", "objectRequest", "socketMessageIn"],
  rows: ["rowWritten"],
  "queue, alarms": ["queueMessage", "alarm"],
  awake: ["objectSecond"],
};

/** A load's dollars by what they are for. */
export function partsOf(load: Load): Record<string, number> {
  return Object.fromEntries(Object.entries(PARTS).map(([part, names]) => [part, dollarsOf(only(load, names))]));
}

const only = (load: Load, names: (keyof typeof PRICES)[]): Load => Object.fromEntries(names.map((name) => [name, load[name] ?? 0]));
