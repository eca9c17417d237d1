// `npm run check`: format, lint, arrows and types, without the tests.
process.argv.splice(2, Number.POSITIVE_INFINITY, "check");
await import("./test.ts");

export {};
