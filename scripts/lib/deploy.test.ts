import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Facts, findings, needs } from "./deploy-checks.ts";
import { deployToCloud, type Wrangler } from "./deploy-cloud.ts";

const KEY = "fT5wQ2nX8kL4vB7cJ1zR9mD3hS6pG0yE";

const good: Facts = {
  dates: { models: "2026-10-31", main: "2026-10-31" },
  gzip: { models: 100_000, main: 400_000 },
  wasm: null,
  variables: null,
  uncommitted: [],
  rehearsal: false,
  today: "2026-11-20",
};
const stops = (facts: Partial<Facts>) => findings({ ...good, ...facts }).filter(({ level }) => level === "stop");

describe("what is checked before an account is asked", () => {
  it("finds nothing wrong with sources that are in order", () => {
    expect(findings(good)).toEqual([]);
  });

  it.each<[string, Partial<Facts>, RegExp]>([
    ["a script over 3 MiB", { gzip: { models: 1, main: 4_000_000 } }, /skerry weighs 3\.81 MiB/],
    ["a compatibility date in the future", { today: "2026-10-01" }, /lies in the future/],
    ["a missing compatibility date", { dates: { models: "", main: "2026-10-31" } }, /no compatibility_date/],
    ["dates that differ", { dates: { models: "2026-10-30", main: "2026-10-31" } }, /different compatibility dates/],
    ["Wasm that is not what its sources build", { wasm: "hash differs" }, /npm run build:wasm[\s\S]*hash differs/],
    ["a variable that the Worker refuses", { variables: "SKERRY_LOG is one of" }, /nothing would be served\. SKERRY_LOG is one of/],
    ["Wasm that is not committed", { uncommitted: ["wasm/artifacts/skerry_inference.wasm"] }, /not committed/],
  ])("stops at %s", (_, facts, text) => {
    expect(stops(facts).map((finding) => finding.text)).toEqual(expect.arrayContaining([expect.stringMatching(text)]));
  });

  it("notes what is no reason to stop", () => {
    expect(findings({ ...good, uncommitted: ["README.md"] })).toMatchObject([{ level: "note" }]);
    expect(findings({ ...good, uncommitted: ["wasm/Cargo.toml"], rehearsal: true })).toMatchObject([{ level: "note" }]);
    expect(findings({ ...good, uncommitted: null })).toMatchObject([{ level: "note" }]);
    expect(findings({ ...good, today: "2028-01-01" }).every(({ level }) => level === "note")).toBe(true);
  });

  it("reads queues, dead letter queue and bucket from wrangler.toml", () => {
    expect(needs()).toMatchObject({ queues: ["skerry-ring", "skerry-ring-dead"], buckets: ["skerry-archive"] });
  });
});

/** An account: what it holds, and every command it was given. */
function account(holds: {
  signedIn?: boolean;
  accounts?: { id: string; name: string }[];
  has?: string[];
  secrets?: string[];
  fails?: string;
}) {
  const calls: string[] = [];
  const uploaded: string[] = [];
  const has = new Set(holds.has ?? []);
  const wrangler: Wrangler = async (args) => {
    const call = args.join(" ");
    calls.push(call);
    const ok = (output = "") => ({ status: 0, output });
    const no = (output: string) => ({ status: 1, output });
    if (holds.fails !== undefined && call.startsWith(holds.fails)) return no("the account says no");
    if (args[0] === "whoami") {
      const accounts = holds.accounts ?? [{ id: "a1", name: "Team" }];
      return holds.signedIn === false ? no('{"loggedIn":false}') : ok(`banner\n${JSON.stringify({ loggedIn: true, accounts })}`);
    }
    if (args[0] === "secret")
      return holds.secrets === undefined ? no("This Worker does not exist") : ok(JSON.stringify(holds.secrets.map((name) => ({ name }))));
    if (args.includes("info")) return has.has(args.at(-1)!) ? ok() : no("not found");
    if (args.includes("create")) has.add(args.at(-1)!);
    const file = args.includes("--secrets-file") ? args.at(-1)! : null;
    if (file !== null) uploaded.push(readFileSync(file, "utf8"), file);
    return ok(args.includes("wrangler.toml") ? "Deployed\n  https://skerry.team.workers.dev\n" : "");
  };
  const said: string[] = [];
  const run = (options: { adminKey?: string; accountId?: string } = {}) =>
    deployToCloud({
      wrangler,
      needs: needs(),
      adminKey: options.adminKey,
      accountId: options.accountId,
      say: (line) => void said.push(line),
    });
  return { run, calls, uploaded, said, changes: () => calls.filter((call) => /create|^deploy/.test(call)) };
}

describe("the deployment", () => {
  it("creates what is missing, then deploys the models before what binds them, with the key in a file that does not stay", async () => {
    const cloud = account({});
    expect(await cloud.run({ adminKey: KEY })).toBe("https://skerry.team.workers.dev");
    expect(cloud.changes().map((call) => call.replace(/ --secrets-file .*/, ""))).toEqual([
      "queues create skerry-ring",
      "queues create skerry-ring-dead",
      "r2 bucket create skerry-archive",
      "deploy -c workers/models/wrangler.toml",
      "deploy -c wrangler.toml",
    ]);
    expect(JSON.parse(cloud.uploaded[0]!)).toEqual({ SKERRY_ADMIN_KEY: KEY });
    expect(existsSync(cloud.uploaded[1]!)).toBe(false);
    expect([...cloud.calls, ...cloud.said].join("\n")).not.toContain(KEY);
  });

  it("keeps a key that was set before, and creates nothing that is there", async () => {
    const cloud = account({ secrets: ["SKERRY_ADMIN_KEY"], has: ["skerry-ring", "skerry-ring-dead", "skerry-archive"] });
    await cloud.run();
    expect(cloud.changes()).toEqual(["deploy -c workers/models/wrangler.toml", "deploy -c wrangler.toml"]);
  });

  it.each<[string, Parameters<typeof account>[0], { adminKey?: string }, RegExp]>([
    ["nobody is signed in", { signedIn: false }, { adminKey: KEY }, /wrangler login/],
    [
      "there are several accounts",
      {
        accounts: [
          { id: "a1", name: "A" },
          { id: "a2", name: "B" },
        ],
      },
      { adminKey: KEY },
      /CLOUDFLARE_ACCOUNT_ID[\s\S]*a2 {2}B/,
    ],
    ["there is no admin key yet", {}, {}, /no admin key yet[\s\S]*openssl rand/],
    ["another secret is set, not the admin key", { secrets: ["OTHER"] }, {}, /no admin key yet/],
    ["the admin key is a placeholder", {}, { adminKey: "change-me-change-me-change-me" }, /placeholder/],
  ])("changes nothing when %s, and says what to do", async (_, holds, options, text) => {
    const cloud = account(holds);
    await expect(cloud.run(options)).rejects.toThrow(text);
    expect(cloud.changes()).toEqual([]);
  });

  it("says which step the account refused, and stops there", async () => {
    const bucket = account({ fails: "r2 bucket create" });
    await expect(bucket.run({ adminKey: KEY })).rejects.toThrow(/bucket skerry-archive could not be created[\s\S]*the account says no/);
    expect(bucket.changes().some((call) => call.startsWith("deploy"))).toBe(false);
    const models = account({ fails: "deploy -c workers/models" });
    await expect(models.run({ adminKey: KEY })).rejects.toThrow(/skerry-models was not deployed/);
    expect(models.changes().at(-1)).toBe("deploy -c workers/models/wrangler.toml");
  });
});
