import type { Command, Operation, PutRequest, RangeRequest } from "../../core/consensus/kv/types.ts";

const put = (key: string, value: string, more: Partial<PutRequest> = {}): Operation & { op: "put" } => ({
  op: "put",
  request: { key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false, ...more },
});
const RANGE: RangeRequest = {
  key: "a",
  rangeEnd: "\0",
  limit: 2,
  revision: 0,
  sortOrder: "descend",
  sortTarget: "mod",
  serializable: true,
  keysOnly: false,
  countOnly: false,
  minModRevision: 1,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 99,
};
const DELETE: Operation & { op: "deleteRange" } = { op: "deleteRange", request: { key: "a", rangeEnd: "b", prevKv: true } };

const operations: Operation[] = [
  { op: "leaseGrant", request: { id: 0x7234567890abcdefn, ttl: 60 } },
  { op: "leaseGrant", request: { id: -2n, ttl: 1 } },
  put("a", "one"),
  put("a/1", "leased", { lease: 0x7234567890abcdefn }),
  put("b\xff\0", "\0\x7f\x80\xff", { lease: -2n, prevKv: true }),
  put("a", "", { ignoreValue: true }),
  put("a/1", "kept", { ignoreLease: true }),
  {
    op: "txn",
    request: {
      compare: [
        { result: "greater", target: "version", key: "a", rangeEnd: "", value: 1 },
        { result: "less", target: "create", key: "a", rangeEnd: "c", value: 300 },
        { result: "notEqual", target: "mod", key: "none", rangeEnd: "", value: -1 },
        { result: "equal", target: "value", key: "a", rangeEnd: "", value: "one" },
        { result: "equal", target: "lease", key: "b\xff\0", rangeEnd: "", value: -2n },
      ],
      success: [
        { op: "range", request: RANGE },
        put("c", "v".repeat(300), { prevKv: true }),
        { op: "txn", request: { compare: [], success: [DELETE], failure: [put("never", "")] } },
      ],
      failure: [],
    },
  },
  put("d", "1"),
  put("d", "2"),
  DELETE,
  { op: "leaseRenew", request: { ids: [0x7234567890abcdefn, 5n] } },
  { op: "compact", request: { revision: 8 } },
  put("a", "again"),
  { op: "leaseRevoke", request: { id: -2n } },
  put("", "refused"),
];

/** One of everything that the log can hold, in sessions and without. */
export const commands: Command[] = operations.map((operation, i) => ({
  operation,
  at: 1_760_000_000_000 + i * 1000,
  session: i % 3 === 0 ? null : { client: i % 3 === 1 ? "client" : "κλ\u{1f600}", seq: i + 1, ack: i > 11 ? 9 : 0 },
}));
