import { defineConfig } from "vite";

export default defineConfig({
  build: {
    // What the console's CSS uses (light-dark(), nesting) these have had since 2024; nothing is rewritten for older ones.
    target: "es2024",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // Served under a policy without inline scripts, and over one connection: a small file costs less than a data URL.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
