import { ERRORS, type ErrorCode, errorOf, SkerryError } from "../../core/wire/errors.ts";

// An exception that leaves an object's method is an uncaught one to the platform: it is logged as a fault, and counted as
// one in the account's dashboards, although the caller expects it and handles it. So what an object refuses in the course of
// its work crosses RPC as a value. Both ends are here; in between, objects throw and callers catch as if nothing were.

/** What crosses RPC in place of an exception. No answer has this member. */
type Refusal = { skerryRefused: Pick<SkerryError, "code" | "message"> & Partial<Pick<SkerryError, "retryAfter" | "extra" | "headers">> };

/** Called by the platform, or answering it: what they throw is for the platform. */
const HANDLERS = new Set(["constructor", "fetch", "alarm", "webSocketMessage", "webSocketClose", "webSocketError"]);

/** Bindings to other Workers whose methods are called. */
const SERVICES = new Set(["MODELS"]);

/**
 * Whether an error is a fault, which stays an exception, so that it is seen: one of ours without a code, and those whose
 * code says that we or what we stored are at fault.
 */
function isFault(thrown: unknown): boolean {
  const code = (thrown as { code?: unknown } | null)?.code;
  return typeof code !== "string" || !Object.hasOwn(ERRORS, code) || ERRORS[code as ErrorCode].status === 500 || code === "newer_format";
}

function refusalOf(thrown: unknown): Refusal {
  if (isFault(thrown)) throw thrown;
  const { code, message, retryAfter, extra, headers } = errorOf(thrown);
  return {
    skerryRefused: {
      ...{ code, message },
      ...(retryAfter !== undefined && { retryAfter }),
      ...(extra !== undefined && { extra }),
      ...(headers !== undefined && { headers }),
    },
  };
}

/** What an object answered. Throws where it refused. */
export function answered<T>(answer: T): T {
  if (typeof answer !== "object" || answer === null || !("skerryRefused" in answer)) return answer;
  const { code, message, ...options } = (answer as Refusal).skerryRefused;
  throw new SkerryError(code, message, options);
}

type Method = (this: object, ...args: unknown[]) => unknown;
// biome-ignore lint/suspicious/noExplicitAny: what TypeScript asks of a class that is extended
type Callable = abstract new (...args: any[]) => object;

/**
 * The class as it is exported to the platform: its methods answer refusals as values, and it asks others by {@link asking}.
 * Its own code calls no public method of itself: that would get the value.
 */
export function answering<C extends Callable>(Base: C): C {
  abstract class Answering extends Base {
    // biome-ignore lint/suspicious/noExplicitAny: the signature of a mixin's constructor
    constructor(...args: any[]) {
      const [ctx, env, ...rest] = args;
      super(ctx, asking(env), ...rest);
    }
  }
  Object.defineProperty(Answering, "name", { value: Base.name });
  for (const [name, { value: method }] of Object.entries(Object.getOwnPropertyDescriptors(Base.prototype as object))) {
    if (HANDLERS.has(name) || typeof method !== "function") continue;
    const guarded: Method = function (...args) {
      try {
        const result: unknown = (method as Method).apply(this, args);
        return result instanceof Promise ? result.catch(refusalOf) : result;
      } catch (thrown) {
        return refusalOf(thrown);
      }
    };
    Object.defineProperty(Answering.prototype, name, { value: guarded, writable: true, configurable: true });
  }
  return Answering as C;
}

const known = new WeakMap<object, object>();

/** An environment whose objects and services throw what they refused, as if it had crossed RPC as an exception. */
export function asking<E>(env: E): E {
  if (typeof env !== "object" || env === null) return env;
  let wrapped = known.get(env);
  if (wrapped === undefined) {
    const bindings = new Map<PropertyKey, unknown>();
    wrapped = new Proxy(env, {
      get(target, name) {
        const binding: unknown = Reflect.get(target, name);
        if (!isNamespace(binding) && !SERVICES.has(String(name))) return binding;
        if (!bindings.has(name)) bindings.set(name, isNamespace(binding) ? askingNamespace(binding) : askingStub(binding as object));
        return bindings.get(name);
      },
      set(target, name, value) {
        bindings.delete(name);
        return Reflect.set(target, name, value);
      },
    });
    known.set(env, wrapped);
    // Asked again, it stays what it is.
    known.set(wrapped, wrapped);
  }
  return wrapped as E;
}

type Namespace = { getByName(name: string, options?: object): object; get(id: unknown, options?: object): object };
/** By its prototype: a service would claim to have a method of that name too. */
const isNamespace = (binding: unknown): binding is Namespace =>
  typeof binding === "object" && binding !== null && "getByName" in (Object.getPrototypeOf(binding) ?? {});

function askingNamespace(namespace: Namespace): object {
  return new Proxy(namespace, {
    get(target, name) {
      if (name === "getByName" || name === "get") return (id: string, options?: object) => askingStub(target[name](id, options));
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function askingStub(stub: object): object {
  return new Proxy(stub, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function" || typeof name === "symbol") return value;
      // Called on the stub itself. Its functions have no `bind` or `apply` of ours: whatever one reads of them is remote.
      const call = (args: unknown[]) => (target as Record<string, Method>)[name]!(...args);
      if (HANDLERS.has(name)) return (...args: unknown[]) => call(args);
      return async (...args: unknown[]) => answered(await call(args));
    },
  });
}
