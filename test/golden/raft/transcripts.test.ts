/**
 * The transcripts of etcd-io/raft, directive by directive, through our core: the same logs, states, messages and decisions. The
 * files are beside the checkout (`../shared/data/raft`); a part of them is a fixture here, so that something always runs.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DIFFERENCES } from "./differences.ts";
import { Interpreter } from "./interpreter.ts";
import { expectedOf, type File, filesIn } from "./source.ts";

const excerpt = JSON.parse(readFileSync(new URL("excerpt.golden.json", import.meta.url), "utf8")) as { transcripts: File[] };
const files = filesIn("testdata");

describe("[RT1] the excerpt of etcd-io/raft's transcripts", () => {
  test.each(excerpt.transcripts.map(({ name, cases }) => [name, cases] as const))("%s", (_name, cases) => {
    const interpreter = new Interpreter();
    for (const item of cases) expect(interpreter.run(item), `line ${item.line}: ${item.command}`).toBe(item.expected);
  });
});

describe.skipIf(files.length === 0)("[RT1] all of etcd-io/raft's transcripts (../shared/data/raft)", () => {
  test.each(files.map(({ name, cases }) => [name, cases] as const))("%s", (name, cases) => {
    const interpreter = new Interpreter();
    for (const item of cases) {
      const difference = DIFFERENCES.find(({ at }) => at === `${name}:${item.line}`);
      const theirs = expectedOf(item);
      const ours = interpreter.run(item);
      expect(ours, `${name}:${item.line}: ${item.command}`).toBe(difference?.ours ?? theirs);
      // A difference that is one no more leaves the list.
      if (difference !== undefined) expect(ours).not.toBe(theirs);
    }
  });

  test("every named difference is in a transcript", () => {
    const places = files.flatMap(({ name, cases }) => cases.map(({ line }) => `${name}:${line}`));
    for (const { at } of DIFFERENCES) expect(places).toContain(at);
  });

  test("nothing is left out: 28 transcripts with 558 directives", () => {
    expect(files.length).toBe(28);
    expect(files.reduce((sum, { cases }) => sum + cases.length, 0)).toBe(558);
  });
});
