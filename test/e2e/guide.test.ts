import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildGuide } from "../../scripts/guide/build.ts";
import { readSite } from "../../scripts/guide/site.ts";
import { DIST } from "../../scripts/lib/paths.ts";
import { type Server, startServer } from "./harness.ts";

const site = readSite(fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, ""));
let server: Server;

beforeAll(async () => {
  await buildGuide(join(DIST, "console"));
  server = await startServer();
});
afterAll(() => server?.close());

const get = (path: string, redirect: RequestRedirect = "follow") => fetch(`${server.url}${path}`, { redirect });

describe("the guide of a deployment", () => {
  it("has every page at its address, without a redirect and without a token", async () => {
    for (const { url, document } of site.pages) {
      const response = await get(url, "manual");
      expect(response.status, url).toBe(200);
      expect(response.headers.get("content-type"), url).toContain("text/html");
      expect(await response.text(), url).toContain(`<title>${document.title.replaceAll("&", "&#38;").replaceAll("`", "")}`);
    }
  });

  it.each([
    ["/guide", "/guide/"],
    ["/guide/index.html", "/guide/"],
    ["/guide/streams.html", "/guide/streams"],
    ["/guide/streams/", "/guide/streams"],
    ["/guide/decisions", "/guide/decisions/"],
  ])("%s shows what %s does", async (asked, shown) => {
    const [response, page] = await Promise.all([get(asked), get(shown)]);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(await page.text());
  });

  it("is under the policy of all our pages: own scripts, own styles, no frame, no other host", async () => {
    const { headers } = await get("/guide/");
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'self'");
    expect(policy).toMatch(/script-src 'self'( 'wasm-unsafe-eval')?;/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  });

  it("loads what its pages name", async () => {
    for (const [path, type] of [
      ["/guide/guide.css", "text/css"],
      ["/guide/guide.js", "javascript"],
      ["/guide/search.css", "text/css"],
      ["/guide/search.js", "javascript"],
      ["/guide/search.json", "json"],
    ] as const) {
      const response = await get(path);
      expect([response.status, response.headers.get("content-type")]).toEqual([200, expect.stringContaining(type)]);
    }
  });

  it("says that a page is not there as every other route does", async () => {
    const response = await get("/guide/nothing");
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: "route_not_found" });
  });
});
