import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, it } from "vitest";

const SOURCES = fileURLToPath(new URL(".", import.meta.url));
const BASE = fileURLToPath(new URL("../../tsconfig.base.json", import.meta.url));

/** What the examples take for granted. */
const PRELUDE = `
import { useEffect } from "react";
import { createClient, type Client } from "../index.ts";
import { connectRoom, type Room } from "../rooms/index.ts";
import { decodeCertificate, encodeVote, MemberSet, signVote, verifyCertificate, verifySignature } from "../groups/certificate.ts";
import { type Group, openGroup, put, del, get, when } from "../groups/index.ts";
import { barrier, joinFleet, jobQueue } from "../agents/index.ts";
import { useAwareness, useGroupKey, useRoom, useShared, useTable, useWatch } from "../react/index.ts";
declare const group: Group, fleet: Awaited<ReturnType<typeof joinFleet>>;
declare const client: Client, admin: Client, room: Room, token: string, orders: { shop: string }[];
declare const agents: { id: string; publicKey: Uint8Array }[], bytes: Uint8Array, digest: Uint8Array, privateKey: CryptoKey;
export { agents, bytes, digest, privateKey, decodeCertificate, encodeVote, MemberSet, signVote, verifyCertificate, verifySignature };
export { type Group, group, fleet, openGroup, put, del, get, when, barrier, joinFleet, jobQueue, useGroupKey, useWatch };
export { client, admin, room, token, orders, createClient, connectRoom, useAwareness, useEffect, useRoom, useShared, useTable };
`;

it("every example of an export is TypeScript that compiles", () => {
  const examples = globSync("**/*.ts", { cwd: SOURCES, exclude: ["**/*.test.ts", "**/*.fixture.ts"] }).flatMap((file) =>
    [...readFileSync(join(SOURCES, file), "utf8").matchAll(/@example(.*?)(?=\n\s+\* @|\s*\*\/)/gs)].map(([, text = ""]) => ({
      file,
      code: text.replace(/^\s*\* ?/gm, ""),
    })),
  );
  expect(examples.length).toBeGreaterThan(12);
  // Beside the sources, so that the imports resolve as they do there.
  const folder = mkdtempSync(join(SOURCES, ".examples-"));
  try {
    const path = join(folder, "all.tsx");
    const bodies = examples.map(({ file, code }, n) => `// ${file}\nexport async function example${n}() {\n${code}\n}`);
    writeFileSync(path, `${PRELUDE}\n${bodies.join("\n")}`);
    const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(BASE, ts.sys.readFile).config, ts.sys, SOURCES);
    const program = ts.createProgram([path], {
      ...options,
      ...{ lib: ["lib.es2024.d.ts", "lib.dom.d.ts"], types: [], jsx: ts.JsxEmit.ReactJSX, noUnusedLocals: false },
    });
    const said = ts.getPreEmitDiagnostics(program).map((each) => {
      const at = each.file?.getLineAndCharacterOfPosition(each.start ?? 0).line ?? 0;
      return `${ts.flattenDiagnosticMessageText(each.messageText, " ")} ${each.file?.text.split("\n")[at]}`;
    });
    expect(said).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
