export { interrupted } from "./actor.ts";
export type { Delay, LinkFaults } from "./network.ts";
export type { Env, Factory, ObjectFaults } from "./objects.ts";
export type { Consumer, QueueFaults, QueueMessage, QueueOptions } from "./queue.ts";
export { Random } from "./random.ts";
export { runSeed, runSeeds, type Scenario, SimFailure, scenario } from "./scenario.ts";
export type { Sim } from "./sim.ts";
export type { ClientSocket, ServerSocket } from "./sockets.ts";
export type { SimStorage, Snapshotable } from "./storage.ts";
