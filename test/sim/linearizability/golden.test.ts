import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { check } from "./check.ts";
import { parseAppendLog, parseJepsen, restoreHistory, type StoredHistory, storeHistory } from "./formats.ts";
import type { Operation } from "./history.ts";
import type { Model } from "./model.ts";
import { type AppendInput, type AppendOutput, appendStore, type RegisterInput, type RegisterOutput, register } from "./models.ts";

const DATA = fileURLToPath(new URL("../../../../shared/data/linearizability/", import.meta.url));
const PRESENT = existsSync(`${DATA}expected.json`);
const FIXTURE = fileURLToPath(new URL("../../golden/histories.golden.json", import.meta.url));
const fixture = JSON.parse(readFileSync(FIXTURE, "utf8")) as { source: string; histories: StoredHistory[] };

const MODELS = { register, append: appendStore } as Record<string, Model<unknown, unknown, unknown>>;
/** Shown by each refusal: an answer, what was found instead, and an order of what came before. */
const EXPLAINED = /^(register|key with append): not linearizable\. The first answer that no order explains:\n {2}\[\d+-\d+\] \d+: .+\n {2}/;

function verdict(model: Model<never, never, never>, history: Operation<never, never>[]): boolean | null {
  const found = check(model as Model<unknown, unknown, unknown>, history);
  if (found.linearizable !== true) expect(found.explanation).toMatch(EXPLAINED);
  return found.linearizable;
}

const text = (path: string) => readFileSync(`${DATA}test_data/${path}`, "utf8");

describe("recorded histories, as converted into our format", () => {
  it("holds both verdicts of both models", () => {
    const kinds = new Set(fixture.histories.map(({ model, linearizable }) => `${model} ${linearizable}`));
    expect([...kinds].sort()).toEqual(["append false", "append true", "register false", "register true"]);
  });

  it.each(fixture.histories)("$name of a $model: linearizable $linearizable", (stored) => {
    expect(verdict(MODELS[stored.model] as never, restoreHistory(stored))).toBe(stored.linearizable);
  });
});

if (!PRESENT) {
  console.warn(`SKIPPED: the 108 recorded histories are not checked: ${DATA} is not there. The converted ones above were.`);
}

describe.skipIf(!PRESENT)("recorded histories, all of them", () => {
  const expected: Record<"jepsen" | "kv", Record<string, boolean>> = PRESENT
    ? JSON.parse(readFileSync(`${DATA}expected.json`, "utf8"))
    : { jepsen: {}, kv: {} };

  it("agrees on 102 Jepsen logs of etcd", { timeout: 120_000 }, () => {
    const found: Record<string, boolean | null> = {};
    for (const file of Object.keys(expected.jepsen)) found[file] = verdict(register as never, parseJepsen(text(`jepsen/${file}`)) as never);
    expect(found).toEqual(expected.jepsen);
    expect(Object.keys(found).length).toBe(102);
    expect(Object.values(found).filter((each) => each === true).length).toBe(23);
  });

  it("agrees on 6 key-value logs, with up to 50 clients", { timeout: 120_000 }, () => {
    const found: Record<string, boolean | null> = {};
    for (const file of Object.keys(expected.kv)) found[file] = verdict(appendStore as never, parseAppendLog(text(`kv/${file}`)) as never);
    expect(found).toEqual(expected.kv);
    expect(Object.keys(found).length).toBe(6);
  });

  it("the fixture says the same as the logs it was made of", () => {
    for (const stored of fixture.histories) {
      const [folder, file] = stored.name.split("/") as [string, string];
      const parsed: Operation<RegisterInput | AppendInput, RegisterOutput | AppendOutput>[] =
        folder === "jepsen" ? parseJepsen(text(stored.name)) : parseAppendLog(text(stored.name));
      const linearizable = (expected as Record<string, Record<string, boolean>>)[folder]?.[file] ?? null;
      expect(storeHistory(stored.name, stored.model, linearizable as boolean, parsed)).toEqual(stored);
    }
  });
});
