import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

const admin = { authorization: `Bearer ${env.SKERRY_ADMIN_KEY}` };
const call = (path: string, init: RequestInit = {}) => exports.default.fetch(new Request(`http://skerry.test${path}`, init));

describe("smoke", () => {
  it("boots", async () => {
    const r = await call("/healthz");
    expect([r.status, await r.text()]).toEqual([200, '{"status":"ok"}']);
    const m = await call("/v1/tokens", {
      method: "POST",
      headers: { ...admin, "content-type": "application/json" },
      body: JSON.stringify({ grants: [{ capability: "rooms", name: "team-*", rights: ["read"] }], expiresIn: 60 }),
    });
    const minted = await m.json();
    console.log(m.status, minted, [...m.headers]);
    const s = await call("/v1/session", { headers: { authorization: `Bearer ${(minted as { token: string }).token}` } });
    console.log(s.status, await s.json(), [...s.headers]);
    const o = await call("/openapi.json");
    console.log(o.status, (await o.text()).slice(0, 500));
    console.log(await (await call("/metrics", { headers: admin })).text());
    console.log(await (await call("/v1/usage", { headers: admin })).text());
    console.log(await (await call("/v1/nope", { headers: admin })).text());
    console.log(await (await call("/v1/tokens", { method: "PUT", headers: admin })).text());
  });
});
