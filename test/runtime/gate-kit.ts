import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { answered, asking } from "../../durable-objects/shared/refusals.ts";
import { app } from "../../workers/app.ts";

export const ADMIN = env.SKERRY_ADMIN_KEY;
export const ORIGIN = "http://skerry.test";

export type Call = { method?: string; token?: string | null; headers?: Record<string, string>; json?: unknown; body?: BodyInit };

function request(path: string, { method, token = ADMIN, headers, json, body }: Call): Request {
  const init: RequestInit = {
    method: method ?? (json === undefined && body === undefined ? "GET" : "POST"),
    headers: new Headers(headers),
  };
  const sent = init.headers as Headers;
  if (token !== null) sent.set("authorization", `Bearer ${token}`);
  if (json !== undefined) {
    sent.set("content-type", "application/json");
    init.body = JSON.stringify(json);
  } else if (body !== undefined) init.body = body;
  return new Request(ORIGIN + path, init);
}

/** Calls the Worker as the admin unless told otherwise; `token: null` is anonymous. */
export function call(path: string, options: Call = {}): Promise<Response> {
  return exports.default.fetch(request(path, options));
}

/** The same with other variables than the deployment's, in the test's own context. */
export async function callWith(vars: Record<string, unknown>, path: string, options: Call = {}): Promise<Response> {
  const ctx = createExecutionContext();
  const response = await app.fetch(request(path, options), asking({ ...env, ...vars }) as unknown as Env, ctx);
  await waitOnExecutionContext(ctx);
  return response;
}

export type ProblemBody = {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  retryable: boolean;
  instance: string;
};

/** Reads a problem document, and insists that it is one. */
export async function problem(response: Response): Promise<ProblemBody> {
  const type = response.headers.get("content-type");
  if (type !== "application/problem+json") throw new Error(`${response.status} ${type}: ${await response.text()}`);
  return response.json();
}

export type Minted = { token: string; id: string; expiresAt: number; refreshableUntil: number };
type Grant = { capability: string; name: string; rights: string[] };

export async function mint(grants: Grant[], more: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Minted> {
  const response = await call("/v1/tokens", { json: { grants, expiresIn: 3600, ...more }, headers });
  if (response.status !== 201) throw new Error(await response.text());
  return response.json();
}

/**
 * The code that a call of an object was refused with. `expect(…).rejects` would leave the stub's own promise, which
 * is no plain one, without a handler.
 */
export async function codeOf(work: PromiseLike<unknown>): Promise<string> {
  try {
    // A test asks the object itself, so a refusal comes as the value that crosses RPC.
    answered(await work);
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown);
  }
  return "accepted";
}
