import { build } from "../../scripts/lib/build.ts";

/** As for the end-to-end tests, with the console: see ../e2e/build.setup.ts. */
export async function setup(): Promise<void> {
  process.env.E2E_BUILT = JSON.stringify(await build());
}
