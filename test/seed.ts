import fc from "fast-check";
import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Of every property test that names none of its own. */
    seed: number;
  }
}

// One seed for all: what passes once passes again. See vitest.config.ts for how to try others.
fc.configureGlobal({ seed: inject("seed") });
