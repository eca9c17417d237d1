// @vitest-environment happy-dom
/// <reference path="../testing/react-dom.d.ts" />
import { createElement, act as reactAct, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { describe } from "vitest";
import { hooksWork, type Renderer } from "../testing/hooks.fixture.ts";
import * as hooks from "./index.ts";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

describe("under React", () => {
  hooksWork({
    createElement: createElement as Renderer["createElement"],
    strict: StrictMode,
    hooks,
    mount: (element) => {
      const host = document.createElement("div");
      const root = createRoot(host);
      const render = (next: unknown) => reactAct(() => root.render(next));
      render(element);
      return { host, render: (next) => root.render(next), unmount: () => root.unmount() };
    },
    act: async (run) => {
      await reactAct(async () => {
        await run();
      });
    },
  });
});
