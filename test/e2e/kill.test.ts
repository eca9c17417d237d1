import { existsSync, statSync } from "node:fs";
import { expect, it } from "vitest";
import { startServer } from "./harness.ts";

const answers = async (url: string): Promise<boolean> => (await fetch(url)).status < 500;

it("survives SIGKILL of the process group, three times on the same state", async () => {
  let server = await startServer();
  for (let round = 0; round < 3; round++) {
    expect(await answers(server.url)).toBe(true);
    const { pid } = server;
    await server.kill();
    await expect(fetch(server.url)).rejects.toThrow();
    server = await server.restart();
    expect(server.pid).not.toBe(pid);
  }
  expect(await answers(server.url)).toBe(true);
});

it("ends the runtime when only the supervisor is killed, and starts again on the same port", async () => {
  let server = await startServer();
  for (let round = 0; round < 3; round++) {
    const ms = await server.killSupervisor();
    console.log(`the runtime was gone ${Math.round(ms)} ms after its supervisor`);
    server = await server.restart();
    expect(await answers(server.url)).toBe(true);
  }
});

it("ends with status 0 on SIGTERM, and leaves no note in the state", async () => {
  const server = await startServer();
  const note = `${server.stateDir}/supervisor.json`;
  expect(statSync(note).isFile()).toBe(true);
  await server.stop();
  expect(existsSync(note)).toBe(false);
});
