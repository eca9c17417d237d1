import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "./paths.ts";
import { STAGES, stagesOf } from "./stages.ts";

describe("what npm test is asked for", () => {
  it("is everything where nothing is named, else the stages that are, in their order", () => {
    expect(stagesOf([])).toEqual({ stages: [...STAGES], parts: [] });
    expect(stagesOf(["e2e", "unit"])).toEqual({ stages: ["unit", "e2e"], parts: [] });
  });

  it("is the files with a part in their path, of the stages that have such files only", () => {
    expect(stagesOf(["lib/stages.test"])).toEqual({ stages: ["unit"], parts: ["lib/stages.test"] });
    expect(stagesOf(["room.test"]).stages).toEqual(["unit", "runtime", "e2e"]);
    expect(stagesOf(["room.test", "browser/"]).stages).toEqual(["unit", "runtime", "e2e", "browser"]);
    expect(stagesOf(["e2e", "room.test"]).stages).toEqual(["e2e"]);
    expect(stagesOf(["check", "lib/stages.test"]).stages).toEqual(["check", "unit"]);
  });

  it("is refused where a part matches nothing, in one sentence and with status 1", () => {
    expect(() => stagesOf(["room.test", "no-such-file"])).toThrow(
      'No test file of unit, runtime, e2e, browser has "no-such-file" in its path.',
    );
    expect(() => stagesOf(["browser", "room.test"])).toThrow('No test file of browser has "room.test" in its path.');
    const { status, stderr, stdout } = spawnSync(process.execPath, [join(ROOT, "scripts/test.ts"), "untit"], { encoding: "utf8" });
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^\nNo test file of unit, .* has "untit" in its path\. The stages are check, unit, .*\n$/);
  });
});
