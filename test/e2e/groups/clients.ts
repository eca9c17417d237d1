import type { History } from "../../sim/linearizability/history.ts";
import type { KvCell, KvInput, KvOutput } from "../../sim/linearizability/kv-model.ts";

type Kv = { key: string; value?: string; version?: string };
type Header = { revision?: string };
type PutAnswer = { prev_kv?: Kv };
type RangeAnswer = { kvs?: Kv[] };
type DeleteAnswer = { deleted?: string; prev_kvs?: Kv[] };
type TxnAnswer = { succeeded?: boolean; responses?: { response_put?: PutAnswer; response_range?: RangeAnswer }[] };

const encode = (text: string) => Buffer.from(text).toString("base64");
const cellOf = (kv: Kv | undefined): KvCell | null =>
  kv === undefined ? null : { value: Buffer.from(kv.value ?? "", "base64").toString(), version: Number(kv.version) };

export type ClientOptions = {
  /** Where the gateway of the group is: `http://…/v1/groups/NAME`. */
  url: string;
  token: string;
  name: string;
  history: History<KvInput, KvOutput>;
  /** A number from 0 to below the given one. */
  random: (below: number) => number;
  keys: number;
  stopped: () => boolean;
};

export type Tally = { answered: number; unknown: number; writes: number };

/**
 * A client of a group over etcd's JSON gateway that reads, writes, deletes and compares-and-swaps until it is told to stop, and
 * writes down what it saw. What was not answered, or answered with an error, may have happened: only reads surely did nothing.
 */
export async function client(options: ClientOptions): Promise<Tally> {
  const { history, random, name, keys, stopped } = options;
  const tally: Tally = { answered: 0, unknown: 0, writes: 0 };
  let last: string | null = null;
  for (let n = 0; !stopped(); n++) {
    const key = `k${random(keys)}`;
    const value = `${name}-${n}`;
    const dice = random(10);
    const input: KvInput =
      dice < 4
        ? { op: "get", key }
        : dice < 7
          ? { op: "put", key, value }
          : dice < 8
            ? { op: "delete", key }
            : {
                op: "txn",
                compare: [last === null || dice === 8 ? { key, version: 0 } : { key, value: last }],
                success: [{ op: "put", key, value }],
                failure: [{ op: "get", key }],
              };
    const id = history.call(name, input);
    const output = await perform(options, input);
    if (output === null) {
      tally.unknown++;
      if (input.op === "get") history.never(id);
      await new Promise((resolve) => setTimeout(resolve, 20 + random(80)));
      continue;
    }
    history.answer(id, output);
    tally.answered++;
    if (output.op !== "get") tally.writes++;
    if (output.op === "get") last = output.cell?.value ?? null;
  }
  return tally;
}

/** One operation; null where its outcome is unknown. */
export async function perform({ url, token }: Pick<ClientOptions, "url" | "token">, input: KvInput): Promise<KvOutput | null> {
  const post = async <T>(path: string, body: object): Promise<(T & { header?: Header }) | null> => {
    try {
      const response = await fetch(`${url}/v3/kv/${path}`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(10_000),
      });
      const text = await response.text();
      return response.ok ? (JSON.parse(text) as T & { header?: Header }) : null;
    } catch {
      return null;
    }
  };
  switch (input.op) {
    case "get": {
      const answer = await post<RangeAnswer>("range", { key: encode(input.key) });
      return answer && { op: "get", cell: cellOf(answer.kvs?.[0]) };
    }
    case "put": {
      const answer = await post<PutAnswer>("put", { key: encode(input.key), value: encode(input.value), prev_kv: true });
      return answer && { op: "put", previous: cellOf(answer.prev_kv) };
    }
    case "delete": {
      const answer = await post<DeleteAnswer>("deleterange", { key: encode(input.key), prev_kv: true });
      return answer && { op: "delete", deleted: Number(answer.deleted ?? 0), previous: cellOf(answer.prev_kvs?.[0]) };
    }
    case "txn": {
      const [compare] = input.compare;
      const [success] = input.success;
      if (compare === undefined || success?.op !== "put") throw new Error("This client swaps one key.");
      const key = encode(compare.key);
      const answer = await post<TxnAnswer>("txn", {
        compare: [
          "value" in compare
            ? { key, target: "VALUE", result: "EQUAL", value: encode(compare.value) }
            : { key, target: "VERSION", result: "EQUAL", version: String(compare.version) },
        ],
        success: [{ request_put: { key, value: encode(success.value), prev_kv: true } }],
        failure: [{ request_range: { key } }],
      });
      if (answer === null) return null;
      const [first] = answer.responses ?? [];
      return answer.succeeded === true
        ? { op: "txn", succeeded: true, results: [{ op: "put", previous: cellOf(first?.response_put?.prev_kv) }] }
        : { op: "txn", succeeded: false, results: [{ op: "get", cell: cellOf(first?.response_range?.kvs?.[0]) }] };
    }
  }
}
