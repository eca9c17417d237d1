// `npm start`: builds what has changed, then serves platform and console with state kept between runs.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "./lib/build.ts";
import { DEFAULT_STATE } from "./lib/paths.ts";
import { command, Refusal } from "./lib/refusal.ts";
import { serve, stopOnSignals } from "./lib/serve.ts";

const HELP = `npm start -- [--port 8787] [--host localhost] [--state .skerry/state]

The admin key is minted at the first start and kept with the state; SKERRY_ADMIN_KEY in the environment takes its place.`;

await command(async () => {
  const { port, host, state } = readArguments();
  const started = performance.now();
  const built = await build();
  // A line a request would bury what is printed below; what goes wrong is logged all the same.
  const env = { SKERRY_LOG: "warn", ...process.env };
  const serving = await serve({ built, host, port, state, env });
  stopOnSignals(serving);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  // One write: who waits for "ready" and then reads the key must find it there.
  console.log(
    [
      `ready ${serving.url}`,
      "",
      `  admin key  ${serving.key}${serving.minted ? "  (minted now, kept with the state)" : ""}`,
      `  state      ${state}`,
      `  console    ${serving.url}/   reference ${serving.url}/docs   (ready in ${seconds} s)`,
      "",
      "Try it: mint a token that may read and write everything for an hour",
      "",
      `  curl -X POST ${serving.url}/v1/tokens -H 'Authorization: Bearer ${serving.key}' -H 'Content-Type: application/json' \\`,
      `    -d '{"grants":[{"capability":"*","name":"*","rights":["read","write"]}],"expiresIn":3600}'`,
      "",
      ...(env.SKERRY_LOG === "warn"
        ? ["Only what goes wrong is logged from here on. To see every request: SKERRY_LOG=info npm start", ""]
        : []),
    ].join("\n"),
  );
});

function readArguments(): { port: number; host: string; state: string } {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: "string", default: "8787" },
        host: { type: "string", default: "localhost" },
        state: { type: "string", default: DEFAULT_STATE },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    const port = Number(values.port);
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new Refusal(`--port takes a number from 1 to 65535, not "${values.port}".`);
    return { port, host: values.host, state: resolve(values.state) };
  } catch (error) {
    if (error instanceof TypeError) throw new Refusal(`${error.message}\n\n${HELP}`);
    throw error;
  }
}
