import { describe, expect, it } from "vitest";
import { SkerryError } from "../../core/wire/errors.ts";
import { answered, answering, asking } from "./refusals.ts";

class Till {
  readonly env: { TILL: Namespace };
  #sum = 0;
  constructor(_ctx: object, env: { TILL: Namespace }) {
    this.env = env;
  }
  add(amount: number): { value: number } {
    if (amount < 0) throw new SkerryError("bad_request", "Less than nothing.", { retryAfter: 3, extra: { amount }, headers: { x: "y" } });
    if (Number.isNaN(amount)) throw new TypeError("a bug");
    this.#sum += amount;
    return { value: this.#sum };
  }
  async later(amount: number): Promise<{ value: number }> {
    await null;
    return this.add(amount);
  }
  async ask(name: string, amount: number): Promise<number> {
    return (await this.env.TILL.getByName(name).later(amount)).value;
  }
  corrupt(): never {
    throw new SkerryError("corrupt", "A row is damaged.");
  }
  fetch(): never {
    throw new SkerryError("forbidden", "Not here.");
  }
}
const Exported = answering(Till);

/** As the platform's: objects by name, each with a stub that has any method it is asked for, and knows of no `bind`. */
class Namespace {
  readonly crossed: unknown[] = [];
  readonly #objects = new Map<string, Till>();
  getByName(name: string): Till {
    const object = this.#objects.get(name) ?? new Exported({}, { TILL: this });
    this.#objects.set(name, object);
    return new Proxy({ name } as unknown as Till, {
      get: (target, method) => {
        if (method === "name") return Reflect.get(target, method);
        const call = async (...args: unknown[]) => {
          const answer = await (object as unknown as Record<PropertyKey, (...args: unknown[]) => unknown>)[method]!(...args);
          this.crossed.push(answer);
          return answer;
        };
        return Object.setPrototypeOf(call, null);
      },
    });
  }
}

const world = () => {
  const env = { TILL: new Namespace(), OTHER: { getByName: () => "not a namespace" }, text: "plain" };
  return { env, objects: asking(env) };
};

describe("what an object refuses", () => {
  it("crosses as a value, and is thrown where it was asked, with all that it says", async () => {
    const { env, objects } = world();
    const stub = objects.TILL.getByName("a");
    expect(await stub.add(2)).toEqual({ value: 2 });
    expect(await stub.later(3)).toEqual({ value: 5 });
    for (const call of [() => stub.add(-1), () => stub.later(-1)]) {
      const thrown = await Promise.resolve(call()).catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(SkerryError);
      expect(thrown).toMatchObject({
        code: "bad_request",
        message: "Less than nothing.",
        retryAfter: 3,
        extra: { amount: -1 },
        headers: { x: "y" },
      });
    }
    const refusal = { skerryRefused: expect.objectContaining({ code: "bad_request", message: "Less than nothing." }) };
    expect(env.TILL.crossed).toEqual([{ value: 2 }, { value: 5 }, refusal, refusal]);
    expect(() => answered(env.TILL.crossed[2])).toThrow("Less than nothing.");
  });

  it("is thrown where another object asked", async () => {
    const { objects } = world();
    await expect(objects.TILL.getByName("a").ask("b", -1)).rejects.toMatchObject({ code: "bad_request" });
    expect(await objects.TILL.getByName("a").ask("b", 4)).toBe(4);
  });
});

describe("a fault", () => {
  it("stays an exception: a bug, damaged data, and what a handler of the platform throws", async () => {
    const { env, objects } = world();
    const stub = objects.TILL.getByName("a");
    await expect(Promise.resolve().then(() => stub.add(Number.NaN))).rejects.toThrow(TypeError);
    await expect(Promise.resolve().then(() => stub.corrupt())).rejects.toMatchObject({ code: "corrupt" });
    await expect(Promise.resolve().then(() => stub.fetch())).rejects.toMatchObject({ code: "forbidden" });
    expect(env.TILL.crossed).toEqual([]);
  });
});

describe("an environment", () => {
  it("is otherwise what it was, and asked again stays one", () => {
    const { env, objects } = world();
    expect(objects.text).toBe("plain");
    expect(objects.OTHER).toBe(env.OTHER);
    expect(objects.TILL.getByName("a")).toHaveProperty("name", "a");
    expect(asking(env)).toBe(objects);
    expect(asking(objects)).toBe(objects);
    expect({ ...objects }.TILL).toBe(objects.TILL);
  });
});
