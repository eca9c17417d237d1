import { describe, expect, it } from "vitest";
import { KvError } from "../kv/types.ts";
import { errorBody, httpStatus, readError, streamErrorLine } from "./errors.ts";
import { readBody, UNARY } from "./gateway.ts";
import { MAX_TXN_DEPTH } from "./kv-requests.ts";
import { readWatch } from "./watch.ts";

const RANGE = UNARY["kv/range"];
const refusal = (ask: () => unknown): string => {
  try {
    ask();
  } catch (thrown) {
    return readError(thrown).message;
  }
  throw new Error("it was accepted");
};
const range = (body: string) => {
  const ask = RANGE.ask(readBody(body));
  if (ask.ask !== "range") throw new Error();
  return ask;
};

describe("requests", () => {
  it("[EF1] fields go by their name in the .proto or in lowerCamelCase, the latter first; unknown ones are ignored", () => {
    expect(range('{"rangeEnd":"AA==","range_end":"Zm9w","key":"AA==","foo":{"bar":1}}').request).toMatchObject({
      key: "\0",
      rangeEnd: "\0",
    });
    expect(range('{"key":"Zm9v","keys_only":true,"countOnly":true,"minModRevision":"3"}').request).toMatchObject({
      key: "foo",
      keysOnly: true,
      countOnly: true,
      minModRevision: 3,
    });
    expect(range('{"Key":"Zm9v"}').request.key).toBe("");
  });

  it("[EF2] nothing, null and {} are a request without fields", () => {
    const empty = range("{}").request;
    expect(empty).toEqual({
      key: "",
      rangeEnd: "",
      limit: 0,
      revision: 0,
      sortOrder: "none",
      sortTarget: "key",
      serializable: false,
      keysOnly: false,
      countOnly: false,
      minModRevision: 0,
      maxModRevision: 0,
      minCreateRevision: 0,
      maxCreateRevision: 0,
    });
    for (const body of ["", " ", "null", '{"key":null,"limit":null,"sort_order":null,"serializable":null}'])
      expect(range(body).request).toEqual(empty);
  });

  it("[EF3] integers are numbers or strings, whole and of 64 bits", () => {
    for (const limit of ["3", '"3"', '" 3"']) expect(range(`{"limit":${limit}}`).request.limit).toBe(3);
    expect(range('{"limit":"-1"}').request.limit).toBe(-1);
    expect(range('{"limit":"null"}').request.limit).toBe(0);
    const grant = UNARY["lease/grant"].ask(readBody('{"ID":"-9223372036854775808","TTL":10}'));
    expect(grant).toMatchObject({ operation: { request: { id: -(2n ** 63n), ttl: 10 } } });
    expect(UNARY["lease/grant"].ask(readBody('{"ID":9223372036854775807}'))).toMatchObject({
      operation: { request: { id: 2n ** 63n - 1n } },
    });
  });

  it("[EF4] enums go by name or number", () => {
    for (const order of ["2", '"DESCEND"']) expect(range(`{"sort_order":${order}}`).request.sortOrder).toBe("descend");
    expect(range('{"sortTarget":"VALUE"}').request.sortTarget).toBe("value");
  });

  it("[EF5] a real etcd 3.4.23's words for a field that does not read", () => {
    for (const [body, message] of [
      ["[]", "json: cannot unmarshal array into Go value of type map[string]json.RawMessage"],
      ['"x"', "json: cannot unmarshal string into Go value of type map[string]json.RawMessage"],
      ['{"limit":"abc"}', "invalid character 'a' looking for beginning of value"],
      ['{"limit":""}', "unexpected end of JSON input"],
      ['{"limit":1.0}', "json: cannot unmarshal number 1.0 into Go value of type int64"],
      ['{"limit":"1e2"}', "json: cannot unmarshal number 1e2 into Go value of type int64"],
      ['{"limit":99999999999999999999}', "json: cannot unmarshal number 99999999999999999999 into Go value of type int64"],
      ['{"limit":true}', "json: cannot unmarshal bool into Go value of type int64"],
      ['{"limit":{}}', "json: cannot unmarshal object into Go value of type int64"],
      ['{"limit":"true"}', "json: cannot unmarshal bool into Go value of type int64"],
      ['{"limit":"\\u0033"}', "invalid character '\\\\' looking for beginning of value"],
      ['{"limit":"3 4"}', "invalid character '4' after top-level value"],
      ['{"serializable":"true"}', "json: cannot unmarshal string into Go value of type bool"],
      ['{"serializable":1}', "json: cannot unmarshal number into Go value of type bool"],
      ['{"sort_order":"FOO"}', 'unknown value "FOO" for enum etcdserverpb.RangeRequest_SortOrder'],
      ['{"sort_order":"1"}', 'unknown value "1" for enum etcdserverpb.RangeRequest_SortOrder'],
      ['{"sort_order":1.5}', "json: cannot unmarshal number 1.5 into Go value of type etcdserverpb.RangeRequest_SortOrder"],
      ['{"sort_order":9999999999}', "json: cannot unmarshal number 9999999999 into Go value of type etcdserverpb.RangeRequest_SortOrder"],
      ['{"key":1}', "json: cannot unmarshal number into Go value of type []uint8"],
      ['{"key":{}}', "json: cannot unmarshal object into Go value of type []uint8"],
      ['{"key":[300]}', "json: cannot unmarshal number 300 into Go value of type uint8"],
      ['{"key":"Zm9"}', "illegal base64 data at input byte 0"],
      ['{"key":"\\ud83d"}', "illegal base64 data at input byte 0"],
    ] as const) {
      expect(
        refusal(() => range(body)),
        body,
      ).toBe(message);
    }
    expect(range('{"key":[102,111]}').request.key).toBe("fo");
    expect(range('{"key":"Zm9\\/"}').request.key).toBe("fo\x7f");
  });

  it("[EF6] a transaction reads as it is meant, nested ones too", () => {
    const ask = UNARY["kv/txn"].ask(
      readBody(`{
        "compare":[{"key":"YQ==","target":"VALUE","result":"NOT_EQUAL","value":"eA=="},{"key":"YQ==","target":"LEASE","lease":"5"},
                   {"key":"YQ==","range_end":"Yg==","target":"MOD","result":1,"mod_revision":7},{"key":"YQ==","target":"VALUE","version":1}],
        "success":[{"request_put":{"key":"YQ==","value":"Yg=="}},{"requestRange":{"key":"YQ=="}}],
        "failure":[{"request_delete_range":{"key":"YQ=="}},{"request_txn":{"success":[{"request_range":{"key":"YQ=="}}]}}]}`),
    );
    expect(ask).toMatchObject({
      ask: "write",
      operation: {
        op: "txn",
        request: {
          compare: [
            { key: "a", rangeEnd: "", target: "value", result: "notEqual", value: "x" },
            { key: "a", rangeEnd: "", target: "lease", result: "equal", value: 5n },
            { key: "a", rangeEnd: "b", target: "mod", result: "greater", value: 7 },
            { key: "a", rangeEnd: "", target: "value", result: "equal", value: "" },
          ],
          success: [
            { op: "put", request: { key: "a", value: "b" } },
            { op: "range", request: { key: "a" } },
          ],
          failure: [
            { op: "deleteRange", request: { key: "a" } },
            { op: "txn", request: { success: [{ op: "range", request: { key: "a" } }] } },
          ],
        },
      },
    });
  });

  it("[EF7] an operation that is none, and nesting without end, are refused", () => {
    expect(refusal(() => UNARY["kv/txn"].ask(readBody('{"success":[{}]}')))).toBe("etcdserver: key not found");
    expect(refusal(() => UNARY["kv/txn"].ask(readBody('{"success":[{"request_put":null}]}')))).toBe("etcdserver: key not found");
    const nested = (depth: number) => `${'{"success":[{"request_txn":'.repeat(depth)}{}${"}]}".repeat(depth)}`;
    expect(() => UNARY["kv/txn"].ask(readBody(nested(MAX_TXN_DEPTH)))).not.toThrow();
    expect(() => UNARY["kv/txn"].ask(readBody(nested(MAX_TXN_DEPTH + 1)))).toThrow(KvError);
    expect(() => UNARY["kv/txn"].ask(readBody(nested(40_000)))).toThrow(KvError);
  });

  it("[EF8] numbers that no enum of a read or comparison has are refused, of a filter ignored", () => {
    expect(refusal(() => range('{"sort_order":9}'))).toBe("etcdserver: invalid sort option");
    expect(refusal(() => range('{"sort_target":-1}'))).toBe("etcdserver: invalid sort option");
    expect(() => UNARY["kv/txn"].ask(readBody('{"compare":[{"result":7}]}'))).toThrow(KvError);
    expect(readWatch(readBody('{"create_request":{"filters":[7,"NODELETE",0]}}'))).toMatchObject({
      create: { filters: ["noDelete", "noPut"] },
    });
  });

  it("[EF9] what is asked on a stream of watches", () => {
    expect(
      readWatch(readBody('{"create_request":{"key":"YQ==","range_end":"AA==","start_revision":"5","prev_kv":true,"watch_id":"9"}}')),
    ).toEqual({
      ask: "create",
      id: 9n,
      create: { key: "a", rangeEnd: "\0", startRevision: 5, progressNotify: false, filters: [], prevKv: true, fragment: false },
    });
    expect(readWatch(readBody('{"cancelRequest":{"watchId":3}}'))).toEqual({ ask: "cancel", id: 3n });
    expect(readWatch(readBody('{"progress_request":{}}'))).toEqual({ ask: "progress" });
    expect(readWatch(readBody("{}"))).toEqual({ ask: "nothing" });
  });
});

describe("errors", () => {
  it("[EE1] have the gateway's shape and status", () => {
    expect(errorBody(5, "etcdserver: requested lease not found")).toBe(
      '{"error":"etcdserver: requested lease not found","message":"etcdserver: requested lease not found","code":5}',
    );
    expect([2, 3, 5, 8, 9, 11, 14, 16, 99].map(httpStatus)).toEqual([500, 400, 404, 429, 412, 400, 503, 401, 500]);
    expect(JSON.parse(streamErrorLine(14, "x"))).toEqual({
      error: { grpc_code: 14, http_code: 503, message: "x", http_status: "Service Unavailable" },
    });
  });

  it("[EE2] escape as Go does", () => {
    expect(errorBody(3, '<&>"')).toBe('{"error":"\\u003c\\u0026\\u003e\\"","message":"\\u003c\\u0026\\u003e\\"","code":3}');
  });

  it("[EE3] a fault of ours is not taken for the caller's", () => {
    expect(() => readError(new TypeError("x"))).toThrow(TypeError);
  });
});
