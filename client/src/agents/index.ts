export { type BarrierOptions, barrier } from "./barrier.ts";
export { type Fleet, type FleetOptions, joinFleet, type Member } from "./fleet.ts";
export { type Claim, type ClaimOptions, type Done, type JobCounts, type JobQueue, jobQueue } from "./jobs.ts";
