import type { Context } from "hono";
import { describe, expect, it } from "vitest";
import type { AppEnv } from "../env.ts";
import { checkPath } from "./path.ts";

/** What hono shows of a request that came over the wire: clients' own libraries never send some of these. */
async function outcome(path: string): Promise<string> {
  const req = { url: `http://h${path}`, path: path.replace(/%2e/gi, ".") };
  try {
    await checkPath({ req } as Context<AppEnv>, async () => {});
    return "taken";
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
}

describe("the path of a request", () => {
  it.each(["/v1/rooms/%zz", "/v1/rooms/%", "/v1/rooms/%ff", "/v1/rooms/%ed%a0%80"])("%s is not UTF-8, percent-encoded", async (path) => {
    expect(await outcome(path)).toBe("bad_name");
  });

  it.each(["/v1/rooms/%2e%2e", "/v1/rooms/%2E", "/v1/rooms/../x", "/v1/rooms/.%2e/doc"])(
    "%s has a name that is another path",
    async (path) => {
      expect(await outcome(path)).toBe("bad_name");
    },
  );

  it.each(["/v1/rooms/a%2Fb", "/v1/rooms/%E2%9C%93", "/v1/rooms/...", "/v1/rooms/a..b", "/v1/rooms/100%25", "/"])(
    "%s is taken",
    async (path) => {
      expect(await outcome(path)).toBe("taken");
    },
  );
});
