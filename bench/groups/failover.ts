import { startEtcd } from "../../scripts/lib/etcd.ts";
import { sleep, until } from "../../scripts/lib/processes.ts";
import type { Server } from "../../test/e2e/harness.ts";

const CLIENTS = 8;
const BODY = JSON.stringify({ key: "YQ==", value: "Yg==" });

/**
 * Lets clients write all the time, breaks the leader, and measures the longest gap between two acknowledged writes after that.
 *
 * @param write resolves with whether the write was acknowledged
 * @returns milliseconds
 */
async function gap(write: (client: number) => Promise<boolean>, breakLeader: () => Promise<void>): Promise<number> {
  const acknowledged: number[] = [];
  let writing = true;
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    while (writing) if (await write(client)) acknowledged.push(performance.now());
  });
  await sleep(1_500);
  const broken = performance.now();
  await breakLeader();
  await until(() => acknowledged.filter((at) => at > broken + 100).length > 20, 20_000);
  writing = false;
  await Promise.all(clients);
  // Writes that were under way are acknowledged after the break; the gap begins with the last of them.
  const times = acknowledged.filter((at) => at > broken - 200).sort((a, b) => a - b);
  let longest = 0;
  for (const [i, at] of times.entries()) if (i > 0) longest = Math.max(longest, at - times[i - 1]!);
  return Math.round(longest);
}

async function post(url: string, headers: Record<string, string> = {}): Promise<boolean> {
  try {
    const response = await fetch(url, { method: "POST", headers, body: BODY, signal: AbortSignal.timeout(10_000) });
    await response.arrayBuffer();
    if (!response.ok) await sleep(5);
    return response.ok;
  } catch {
    await sleep(5);
    return false;
  }
}

/** The default group's leader hangs: it answers nobody, and nobody tells its followers. */
export async function skerryFailover(server: Server, times: number): Promise<number[]> {
  const headers = { Authorization: `Bearer ${server.adminKey}`, "Content-Type": "application/json" };
  const group = `${server.url}/v1/groups/default`;
  const fault = (member: number, hang: boolean) =>
    fetch(`${group}/members/${member}/fault`, { method: "POST", headers, body: JSON.stringify({ hang }) }).then((response) =>
      response.arrayBuffer(),
    );
  const gaps: number[] = [];
  for (let i = 0; i < times; i++) {
    let leader = 0;
    const hangLeader = async () => {
      ({ leader } = (await (await fetch(group, { headers })).json()) as { leader: number });
      await fault(leader, true);
    };
    gaps.push(await gap(() => post(`${server.url}/v3/kv/put`, headers), hangLeader));
    await fault(leader, false);
    await sleep(500);
  }
  return gaps;
}

/** A fresh etcd each time: three members, the clients of the other two, the leader killed. */
export async function etcdFailover(times: number): Promise<number[]> {
  const gaps: number[] = [];
  for (let i = 0; i < times; i++) {
    const etcd = await startEtcd(3);
    try {
      const leader = await leaderOf(etcd.urls);
      const others = etcd.urls.filter((_, index) => index !== leader);
      gaps.push(
        await gap(
          (client) => post(`${others[client % others.length]}/v3/kv/put`),
          async () => etcd.kill(leader),
        ),
      );
    } finally {
      etcd.stop();
    }
  }
  return gaps;
}

async function leaderOf(urls: string[]): Promise<number> {
  for (const [index, url] of urls.entries()) {
    const response = await fetch(`${url}/v3/maintenance/status`, { method: "POST", body: "{}" });
    const { header, leader } = (await response.json()) as { header: { member_id: string }; leader: string };
    if (header.member_id === leader) return index;
  }
  throw new Error("etcd has no leader.");
}
