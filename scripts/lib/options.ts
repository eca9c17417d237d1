import { join } from "node:path";
import { convertV4MiniflareOptions, type MiniflareOptions, type V4WorkerOptions } from "miniflare";
import type { BuiltModule, BuiltWorker, WorkerKey } from "./build-workers.ts";

/** Test-only code that stands in front of the Worker: its module becomes the entry and imports the built one. */
export type Wrapper = { modules: BuiltModule[]; bindings: Record<string, unknown> };

export type RuntimeOptions = {
  built: Record<WorkerKey, BuiltWorker>;
  /** The public address. */
  host: string;
  port: number;
  /** The directory that holds all state of the deployment. */
  state: string;
  /** Values of secrets and of variables, by the names that wrangler.toml declares. */
  values: Record<string, string>;
  wrapper?: Wrapper;
};

/** The runtime's options for the built Workers: what the wrangler files declare, on a public socket, with state kept. */
export function runtimeOptions({ built, host, port, state, values, wrapper }: RuntimeOptions): MiniflareOptions {
  const main = workerOptions(built.main);
  const models = workerOptions(built.models);
  const declared = { ...main.bindings, ...values };
  return {
    ...convertV4MiniflareOptions({
      resourcePersistencePath: join(state, "platform"),
      // No location is looked up over the network.
      cf: false,
      workers: [
        {
          ...main,
          modules: [...(wrapper?.modules ?? []), ...built.main.modules],
          bindings: { ...declared, ...wrapper?.bindings } as NonNullable<V4WorkerOptions["bindings"]>,
        },
        {
          ...models,
          // The public socket leads straight to the main Worker's code. It is listed here because a socket of a Worker
          // with assets is led through three more Workers; `run_worker_first` makes the outcome the same, and this way
          // is several times as fast.
          unsafeDirectSockets: [{ host, port, serviceName: built.main.script }],
        },
      ],
    }),
  };
}

/** One Worker's options: what its configuration declares, with the built modules as its code. */
const workerOptions = ({ script, modules, dir, options }: BuiltWorker): V4WorkerOptions =>
  ({ ...options, name: script, modules, modulesRoot: dir }) as V4WorkerOptions;
