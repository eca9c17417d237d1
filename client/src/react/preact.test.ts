// @vitest-environment happy-dom
import { createElement, render, StrictMode } from "preact/compat";
import { describe, vi } from "vitest";
import { hooksWork, type Renderer } from "../testing/hooks.fixture.ts";
import * as hooks from "./index.ts";

vi.mock("react", () => import("preact/compat"));

/**
 * Preact renders and runs effects in the next frames, which may ask for more. One pause a frame, each longer than a frame:
 * a single long one could end before what was late began.
 */
const frames = async () => {
  for (let frame = 0; frame < 4; frame++) await new Promise((resolve) => setTimeout(resolve, 18));
};

describe("under Preact", () => {
  hooksWork({
    createElement: createElement as Renderer["createElement"],
    strict: StrictMode,
    hooks,
    mount: (element) => {
      const host = document.createElement("div");
      render(element as never, host);
      return { host, render: (next) => render(next as never, host), unmount: () => render(null, host) };
    },
    act: async (run) => {
      await frames();
      await run();
      await frames();
    },
  });
});
