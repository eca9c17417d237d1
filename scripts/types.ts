// `npm run types`: writes the types of the bindings that wrangler.toml declares.
import { runTool } from "./lib/tools.ts";

const { status } = await runTool("wrangler", ["types", "--include-runtime=false", "worker-configuration.d.ts"]);
process.exit(status);
