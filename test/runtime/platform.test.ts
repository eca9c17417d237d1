import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

describe("the runtime under test", () => {
  it("has every binding that wrangler.toml declares", () => {
    const names = ["ROOM", "TOPIC", "TASK", "DIRECTORY", "PROJECT", "RING", "ARCHIVE", "ASSETS", "RATE_TOKEN", "RATE_ADDRESS", "MODELS"];
    expect(names.filter((name) => !(name in env))).toEqual([]);
  });

  it("has an admin key of its own", () => {
    expect((env as unknown as { SKERRY_ADMIN_KEY: string }).SKERRY_ADMIN_KEY.length).toBeGreaterThanOrEqual(24);
  });
});
