export default { fetch: () => new Response("x") };
export { DurableObject as Room, DurableObject as Topic, DurableObject as Task, DurableObject as Directory, DurableObject as Project } from "cloudflare:workers";
