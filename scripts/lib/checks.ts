import { globSync } from "node:fs";
import { dirname } from "node:path";
import { ROOT } from "./paths.ts";
import { runTool } from "./tools.ts";

/** A check that needs nothing built: what it is called, and a run that gives its complaint, or null. */
export type Check = { name: string; run(): Promise<string | null> };

const complaint = async (run: Promise<{ status: number; output: string }>): Promise<string | null> => {
  const { status, output } = await run;
  return status === 0 ? null : output.trim() || `it ended with status ${status}`;
};
const quiet = { quiet: true };

/** Every check of the sources: format and lint, the direction of the arrows, the types of each TypeScript project. */
export function checks(): Check[] {
  const folders = ["core", "durable-objects", "workers", "topologies", "client", "console"];
  return [
    { name: "format and lint", run: () => complaint(runTool("biome", ["check", "--error-on-warnings", "--colors=off"], quiet)) },
    { name: "arrows", run: () => complaint(runTool("depcruise", ["--config", ".dependency-cruiser.cjs", ...folders], quiet)) },
    {
      name: "types of the bindings",
      run: () => complaint(runTool("wrangler", ["types", "--check", "--include-runtime=false", "worker-configuration.d.ts"], quiet)),
    },
    ...projects().map((project) => ({
      name: `types of ${project}`,
      run: () => complaint(runTool("tsc", ["-p", project, "--pretty", "false"], quiet)),
    })),
  ];
}

/** The folders with a tsconfig.json of their own. */
function projects(): string[] {
  const files = globSync("{,*/,*/*/}tsconfig.json", { cwd: ROOT, exclude: (name) => name === "node_modules" || name === "dist" });
  return files.map((file) => dirname(file)).sort();
}
