import { describe, expect, it } from "vitest";
import { waitForServer } from "./server.ts";

/** What answers at the n-th request, and how long it takes to find out, in virtual time. */
function world(answers: (n: number) => Response | Error, more: object = {}) {
  const said: { at: number; sentence: string }[] = [];
  let [clock, requests] = [0, 0];
  const options = {
    now: () => clock,
    sleep: async (ms: number) => {
      clock += ms;
    },
    say: (sentence: string) => void said.push({ at: clock, sentence }),
    fetch: async () => {
      const answer = answers(requests++);
      if (answer instanceof Error) throw answer;
      return answer;
    },
    ...more,
  };
  return { said, options, clock: () => clock };
}
const refused = new TypeError("fetch failed");
const ok = () => Response.json({ status: "ok" });

describe("a server that the demo waits for", () => {
  it("is used at once where it answers, without a word", async () => {
    const { said, options, clock } = world(ok);
    await waitForServer("http://localhost:8787", options);
    expect([said, clock()]).toEqual([[], 0]);
  });

  it("is waited for while it starts, which is said at once and but once, with how to start one", async () => {
    const { said, options, clock } = world((n) => (n < 40 ? refused : ok()));
    await waitForServer("http://localhost:8787", options);
    expect(clock()).toBe(10_000);
    expect(said).toEqual([
      {
        at: 0,
        sentence: "Waiting for a server at http://localhost:8787, where nothing answers yet. Start one: npm start (in another terminal).",
      },
    ]);
  });

  it("is given up in a minute, with a sentence that says what to do", async () => {
    const { options, clock } = world(() => refused);
    await expect(waitForServer("http://127.0.0.1:9000", options)).rejects.toThrow(
      "There is no server at http://127.0.0.1:9000: nothing answered in 60 s. Start one: npm start -- --port 9000",
    );
    expect(clock()).toBe(60_000);
    await expect(waitForServer("https://skerry.example", options)).rejects.toThrow("Start one: npm start, and --url with its address here");
  });

  it("is refused at once where it is another program, or not fit to serve", async () => {
    const other = world(() => new Response("<html>", { status: 404 }));
    await expect(waitForServer("http://localhost:8787", other.options)).rejects.toThrow(/is no Skerry \(status 404 at \/healthz\)/);
    const unfit = world(() => Response.json({ status: "misconfigured", detail: "SKERRY_LOG is one of info." }, { status: 503 }));
    await expect(waitForServer("http://localhost:8787", unfit.options)).rejects.toThrow("serves nothing: SKERRY_LOG is one of info.");
  });

  it("is waited for no longer than the user wants", async () => {
    const stop = new AbortController();
    const giveUp = (n: number) => {
      if (n === 3) stop.abort(new Error("enough"));
      return refused;
    };
    const { options } = world(giveUp, { signal: stop.signal });
    await expect(waitForServer("http://localhost:8787", options)).rejects.toThrow("enough");
  });
});
