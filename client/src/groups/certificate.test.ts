import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { agent, council, nodeVerify, statement, vote } from "../../../test/golden/certificate.fixture.ts";
import {
  assembleCertificate,
  decodeCertificate,
  encodeCertificate,
  MemberSet,
  signVote,
  verifyCertificate,
  verifySignature,
  verifyVote,
} from "./certificate.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const agents = ["ada", "bo", "cy", "dee"].map(agent);
const members = council(agents);

describe("certificates over WebCrypto", () => {
  it("verify what Node's crypto signed, and the other way round", async () => {
    const certificate = assembleCertificate(
      agents.map((each) => vote(each)),
      members,
    );
    await verifyCertificate(decodeCertificate(encodeCertificate(certificate)), members, verifySignature, { height: 7 });
    const { privateKey, publicKey } = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
    const eve = { id: "eve", publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", publicKey)) };
    const set = new MemberSet("release", 1, [eve]);
    const signed = await signVote(statement(), "eve", privateKey);
    await verifyVote(signed, set, nodeVerify);
    await verifyVote(signed, set, verifySignature);
  });

  it("refuse a signature of another key, of other bytes, and keys that are none", async () => {
    const [ada, bo] = agents as [(typeof agents)[0], (typeof agents)[0]];
    const message = new TextEncoder().encode("message");
    expect(await verifySignature(ada.publicKey, message, ada.sign(message))).toBe(true);
    expect(await verifySignature(bo.publicKey, message, ada.sign(message))).toBe(false);
    expect(await verifySignature(ada.publicKey, message.slice(1), ada.sign(message))).toBe(false);
    expect(await verifySignature(ada.publicKey.slice(1), message, ada.sign(message))).toBe(false);
    expect(await verifySignature(new Uint8Array(32).fill(255), message, ada.sign(message))).toBe(false);
  });

  it("reject where the platform has no Ed25519, as often as asked: that is no verdict", async () => {
    const { importKey } = crypto.subtle;
    const fresh = agent("fresh");
    const message = new Uint8Array(1);
    try {
      crypto.subtle.importKey = () => Promise.reject(new DOMException("none", "NotSupportedError"));
      for (let i = 0; i < 2; i++)
        await expect(verifySignature(fresh.publicKey, message, fresh.sign(message))).rejects.toMatchObject({ name: "NotSupportedError" });
    } finally {
      crypto.subtle.importKey = importKey;
    }
    expect(await verifySignature(fresh.publicKey, message, fresh.sign(message))).toBe(true);
  });
});

it("docs/groups-certificates.md: its code runs and prints what the page says", { timeout: 60_000 }, () => {
  const page = readFileSync(join(ROOT, "docs/groups-certificates.md"), "utf8");
  const [code, output] = [...page.matchAll(/^```(?:ts|text output)\n(.*?)^```$/gms)].map(([, block = ""]) => block);
  const folder = mkdtempSync(join(tmpdir(), "skerry-certificate-"));
  try {
    const source = pathToFileURL(join(ROOT, "client/src/groups/certificate.ts")).href;
    writeFileSync(join(folder, "page.ts"), code!.replace("@skerry/client/certificate", source));
    writeFileSync(join(folder, "package.json"), '{"type": "module"}');
    const run = spawnSync(process.execPath, ["page.ts"], { cwd: folder, encoding: "utf8", timeout: 60_000 });
    expect(run.stderr).toBe("");
    expect(run.stdout).toBe(output);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
