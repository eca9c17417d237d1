/** The tables of etcd-io/raft: which index is committed, who won, and what a change makes of a configuration. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type File, filesIn } from "./source.ts";
import { ConfTable, runQuorum } from "./tables.ts";

const excerpt = JSON.parse(readFileSync(new URL("excerpt.golden.json", import.meta.url), "utf8")) as { quorums: File[]; changes: File[] };

function quorums(name: string, files: File[]): void {
  describe.skipIf(files.length === 0)(name, () => {
    test.each(files.map((file) => [file.name, file.cases] as const))("%s", (_name, cases) => {
      for (const item of cases) expect(runQuorum(item), `line ${item.line}`).toBe(item.expected);
    });
  });
}

function changes(name: string, files: File[]): void {
  describe.skipIf(files.length === 0)(name, () => {
    // Each of our sentences stands for one of theirs, and the other way round.
    const sentences = new Map<string, string>();
    test.each(files.map((file) => [file.name, file.cases] as const))("%s", (_name, cases) => {
      const table = new ConfTable();
      for (const item of cases) {
        const { text, failed } = table.run(item);
        expect(failed, `line ${item.line}: ${text}`).toBe(!item.expected.startsWith("voters="));
        if (!failed) expect(text, `line ${item.line}`).toBe(item.expected);
        else expect(sentences.get(text) ?? item.expected, `line ${item.line}: ${text}`).toBe(item.expected);
        if (failed) sentences.set(text, item.expected);
      }
    });
    test("as many sentences as theirs", () => expect(new Set(sentences.values()).size).toBe(sentences.size));
  });
}

quorums("[RQ1] the excerpt of etcd-io/raft's tables of quorums", excerpt.quorums);
quorums("[RQ1] all of etcd-io/raft's tables of quorums (../shared/data/raft)", filesIn("quorum/testdata"));
changes("[RC1] the excerpt of etcd-io/raft's tables of configuration changes", excerpt.changes);
changes("[RC1] all of etcd-io/raft's tables of configuration changes (../shared/data/raft)", filesIn("confchange/testdata"));
