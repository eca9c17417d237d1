// The direction of the arrows: workers -> durable-objects -> core, client -> core, console -> client. Nothing points back.
const only = (name, from, allowed) => ({
  name,
  comment: `${from} may import ${allowed.join(", ") || "nothing"} of ours.`,
  severity: "error",
  from: { path: `^${from}/`, pathNot: "\\.test\\.tsx?$" },
  to: {
    path: "^(core|workers|durable-objects|client|console|test|bench|scripts|examples)/",
    pathNot: [`^${from}/`, ...allowed.map((folder) => `^${folder}/`)],
  },
});

module.exports = {
  forbidden: [
    {
      name: "no-circular",
      comment: "Types and chunks loaded later have no order of initialisation that a circle could break.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only", "dynamic-import"] } },
    },
    only("core-is-pure", "core", []),
    { name: "core-no-platform", severity: "error", from: { path: "^core/", pathNot: "\\.test\\.ts$" }, to: { dependencyTypes: ["core"] } },
    { name: "core-no-cloudflare", severity: "error", from: { path: "^core/" }, to: { path: "^cloudflare:" } },
    only("durable-objects-know-core", "durable-objects", ["core"]),
    only("workers-are-the-door", "workers", ["durable-objects", "core", "examples"]),
    only("client-knows-core", "client", ["core"]),
    only("console-knows-client", "console", ["client", "core/wire"]),
    {
      name: "no-orphans",
      severity: "error",
      from: { orphan: true, path: "^(core|workers|durable-objects|client)/", pathNot: ["\\.d\\.ts$", "\\.test\\.ts$"] },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)dist/|\\.wasm$" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "default", "types"] },
  },
};
