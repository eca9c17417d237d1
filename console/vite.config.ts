import { defineConfig } from "vite";

export default defineConfig(({ command }) => ({
  build: {
    // What the console's CSS uses (light-dark(), nesting) these have had since 2024; nothing is rewritten for older ones.
    target: "es2024",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // Served under a policy without inline scripts, and over one connection: a small file costs less than a data URL.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact", development: command === "serve" } },
  // A build is the same whatever NODE_ENV it is made under: a test runner's too is what users get.
  ...(command === "build" && {
    define: { "process.env.NODE_ENV": JSON.stringify("production") },
    resolve: { conditions: ["module", "browser", "production"] },
  }),
}));
