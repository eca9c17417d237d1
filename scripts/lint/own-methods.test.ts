import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../lib/paths.ts";

// What an object refuses leaves its public methods as a value (durable-objects/shared/refusals.ts), which only callers from
// outside take for what it is.
it("no object's own code calls a method that it answers by", () => {
  const classes = globSync("durable-objects/*/*.ts", { cwd: ROOT })
    .filter((file) => !file.endsWith(".test.ts"))
    .map((file) => ({ file, text: readFileSync(join(ROOT, file), "utf8") }))
    .filter(({ text }) => /extends DurableObject\b/.test(text));
  expect(classes.length).toBeGreaterThanOrEqual(6);
  for (const { file, text } of classes) {
    const methods = [...text.matchAll(/^ {2}(?:async )?([a-z]\w*)\(/gm)].map(([, name]) => name!);
    expect(methods.length, file).toBeGreaterThan(3);
    expect(
      methods.filter((name) => new RegExp(`this\\.${name}\\(`).test(text)),
      file,
    ).toEqual([]);
  }
});
