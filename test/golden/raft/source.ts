/** The transcripts and tables beside the checkout, where they are. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type Case, parseCases } from "./datadriven.ts";
import { factOf } from "./facts.ts";

const ROOT = new URL("../../../../shared/data/raft/", import.meta.url);

export type File = { name: string; cases: Case[] };

/** Empty, and said so on the error output, where the folder is absent. */
export function filesIn(folder: "testdata" | "quorum/testdata" | "confchange/testdata"): File[] {
  const url = new URL(`${folder}/`, ROOT);
  if (!existsSync(url)) {
    console.error(
      `\n*** SKIPPED: ${url.pathname} is absent. The transcripts in it are not compared; the excerpt in test/golden/raft is. ***\n`,
    );
    return [];
  }
  return readdirSync(url)
    .filter((name) => name.endsWith(".txt"))
    .sort()
    .map((name) => ({ name, cases: parseCases(readFileSync(new URL(name, url), "utf8")) }));
}

/** A transcript's expectation, as the interpreter writes it. */
export function expectedOf({ expected }: Case): string {
  const lines = expected.split("\n").map(factOf);
  const text = lines.filter((line) => line !== null).join("\n");
  // A directive of which only lines that are not compared are seen.
  return text === "" ? "ok" : text;
}
