import { app } from "./app.ts";

export default { fetch: app.fetch } satisfies ExportedHandler<Env>;

export { DurableObject as Room, DurableObject as Task, DurableObject as Topic } from "cloudflare:workers";
export { Directory } from "../durable-objects/directory/directory.ts";
export { Project } from "../durable-objects/project/project.ts";
