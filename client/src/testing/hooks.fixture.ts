import { expect, it } from "vitest";
import { openGroup, put } from "../groups/index.ts";
import { createClient } from "../index.ts";
import type { Room } from "../rooms/index.ts";
import { connectRoom } from "../rooms/index.ts";
import { FakeGroup } from "./group.fixture.ts";
import { RoomServer } from "./room.fixture.ts";
import { LiveTableServer } from "./table.fixture.ts";

// The hooks under React and under Preact: the same demands, whatever renders.

type Element = unknown;
/** A renderer and the package of hooks bound to it. */
export type Renderer = {
  createElement: (type: unknown, props: object | null, ...children: unknown[]) => Element;
  strict: unknown;
  hooks: typeof import("../react/index.ts");
  /** Renders into a new place; the result renders again there, and takes it away. */
  mount: (element: Element) => { host: HTMLElement; render: (element: Element) => void; unmount: () => void };
  /** Runs `act` and lets its renders and effects happen. */
  act: (act: () => void | Promise<void>) => Promise<void>;
};

export function hooksWork({ createElement, strict, hooks, mount, act }: Renderer): void {
  const { useAwareness, useGroupKey, useRoom, useShared, useTable, useWatch } = hooks;

  it("useWatch and useGroupKey show keys as they stand, change with them, and let go when they leave", async () => {
    const fake = new FakeGroup();
    const [shown, other] = [openGroup(fake.client(), "desk"), openGroup(fake.client(), "desk")];
    const view = ({ prefix }: { prefix: string }) => {
      const keys = useWatch(shown, prefix);
      const { entry, complete } = useGroupKey(shown, "duty");
      const list = keys.entries.map(({ key, text }) => `${key}=${text}`).join(" ");
      return createElement("p", null, `${keys.complete && complete ? "" : "… "}${list} | ${entry?.text ?? "nobody"}`);
    };
    const { host, render, unmount } = mount(createElement(strict, null, createElement(view, { prefix: "a/" })));
    expect(host.textContent).toBe("…  | nobody");
    await act(() => fake.time.elapse(100));
    expect(host.textContent).toBe(" | nobody");
    await act(async () => {
      void other.txn().do(put("a/2", "z"), put("a/1", "x"), put("b/1", "y"), put("duty", "ada")).commit();
      await fake.time.elapse(100);
    });
    expect(host.textContent).toBe("a/1=x a/2=z | ada");
    await act(async () => {
      void other.delete("a/1");
      fake.connections[0]?.break();
      await fake.time.elapse(2000);
    });
    expect(host.textContent).toBe("a/2=z | ada");
    await act(() => render(createElement(strict, null, createElement(view, { prefix: "b/" }))));
    await act(() => fake.time.elapse(100));
    expect(host.textContent).toBe("b/1=y | ada");
    await act(() => unmount());
    other.close();
    await act(() => fake.time.elapse(5000));
    expect(fake.connections.filter(({ readyState }) => readyState === 1)).toEqual([]);
  });

  it("useRoom joins when mounted, tells what is unsaved, and leaves when its last edit is durable", async () => {
    const server = new RoomServer();
    const client = server.client();
    let room: Room | null = null;
    const noteView = () => {
      const joined = useRoom(() => connectRoom(client, "notes"), [client]);
      room = joined.room;
      const text = useShared(joined.room?.doc.getText("note") ?? null, (note) => note.toString());
      return createElement("p", null, `${joined.status.state} ${joined.status.undurable} ${text}`);
    };
    const { host, unmount } = mount(createElement(noteView, null));
    await act(() => server.time.elapse(100));
    expect(host.textContent).toBe("live 0 ");
    await act(() => room!.doc.getText("note").insert(0, "saved?"));
    expect(host.textContent).toBe("live 1 saved?");
    await act(() => server.time.elapse(200));
    expect(host.textContent).toBe("live 0 saved?");
    await act(() => {
      room!.doc.getText("note").insert(0, "last words: ");
      unmount();
    });
    expect(server.open.length).toBe(1);
    await server.time.elapse(500);
    expect(server.open.length).toBe(0);
    expect(server.room.shadow.getText("note").toString()).toBe("last words: saved?");
  });

  it("useRoom survives being mounted twice, and joins anew when what it depends on changes", async () => {
    const server = new RoomServer();
    const client = server.client();
    const noteView = ({ name }: { name: string }) => {
      const { room, status } = useRoom(() => connectRoom(client, name), [client, name]);
      return createElement("p", null, `${room?.name} ${status.state}`);
    };
    const page = (name: string) => createElement(strict, null, createElement(noteView, { name }));
    const { host, render, unmount } = mount(page("one"));
    await act(() => server.time.elapse(100));
    expect([host.textContent, server.open.length]).toEqual(["one live", 1]);
    await act(() => render(page("two")));
    await act(() => server.time.elapse(100));
    expect([host.textContent, server.open.map(({ url }) => url.pathname)]).toEqual(["two live", ["/v1/rooms/two"]]);
    await act(unmount);
    await server.time.elapse(100);
    expect(server.open).toEqual([]);
  });

  it("useAwareness tells who else is there, and tells the others", async () => {
    const server = new RoomServer();
    const client = server.client();
    const bob = connectRoom(server.client(), "notes");
    let setMe: (state: { name: string } | null) => void = () => {};
    const peopleView = () => {
      const { room } = useRoom(() => connectRoom(client, "notes"), [client]);
      const [people, set] = useAwareness<{ name: string }>(room);
      setMe = set;
      return createElement("p", null, people.map(({ state }) => state.name ?? "?").join(", "));
    };
    const { host, unmount } = mount(createElement(peopleView, null));
    await act(() => server.time.elapse(100));
    bob.awareness!.setLocalState({ name: "Bob" });
    await act(() => server.time.elapse(100));
    expect(host.textContent).toBe("Bob");
    await act(() => setMe({ name: "Ada" }));
    await server.time.elapse(100);
    expect([...bob.awareness!.getStates().values()].map(({ name }) => name).sort()).toEqual(["Ada", "Bob"]);
    bob.close();
    await act(() => server.time.elapse(100));
    expect(host.textContent).toBe("");
    await act(unmount);
    await server.time.elapse(100);
  });

  it("useShared shows what is in the type by then, and what changes deep in it", async () => {
    const { Doc, Map: SharedMap } = await import("yjs");
    const doc = new Doc();
    const list = doc.getArray<InstanceType<typeof SharedMap>>("todos");
    const todosView = () => createElement("p", null, JSON.stringify(useShared(list, (todos) => todos.toJSON())));
    const { host, unmount } = mount(createElement(todosView, null));
    await act(() => list.push([new SharedMap([["done", false]])]));
    expect(host.textContent).toBe('[{"done":false}]');
    await act(() => void list.get(0).set("done", true));
    expect(host.textContent).toBe('[{"done":true}]');
    await act(unmount);
    doc.destroy();
  });

  it("useTable shows a table whole, then what changes in it, gathered; and why it cannot", async () => {
    const server = new LiveTableServer(2);
    const client = createClient({ url: "http://skerry.test", runtime: server.runtime });
    let renders = 0;
    const delaysView = () => {
      const { rows, complete, late, error } = useTable<{ n: number }>(client, "delays", { conflate: 100 });
      renders++;
      return createElement("p", null, error?.code ?? `${complete} ${late} ${rows.map(({ key, value }) => `${key}${value.n}`).join(" ")}`);
    };
    const { host, unmount } = mount(createElement(delaysView, null));
    await act(() => server.time.elapse(10));
    expect(host.textContent).toBe("false 0 ");
    await act(async () => {
      server.begin(0, [["b", 1]]);
      await server.time.elapse(10);
      server.begin(1, [["a", 1]]);
      await server.time.elapse(10);
    });
    expect(host.textContent).toBe("true 0 a1 b1");
    const before = renders;
    await act(async () => {
      for (let n = 2; n < 20; n++) server.change(0, [["b", n]], { late: 3 });
      await server.time.elapse(150);
    });
    expect(host.textContent).toBe("true 3 a1 b19");
    expect(renders - before).toBeLessThan(4);
    await act(async () => {
      server.refuse("forbidden");
      await server.time.elapse(10);
    });
    expect(host.textContent).toBe("forbidden");
    await act(unmount);
  });

  it("useTable tries again by itself where the server is out of reach", async () => {
    const server = new LiveTableServer(1);
    server.down = true;
    const client = createClient({ url: "http://skerry.test", attempts: 1, runtime: server.runtime });
    const delaysView = () => {
      const { complete, error } = useTable(client, "delays");
      return createElement("p", null, `${complete} ${error?.code}`);
    };
    const { host, unmount } = mount(createElement(delaysView, null));
    await act(() => server.time.elapse(100));
    expect(host.textContent).toBe("false unavailable");
    server.down = false;
    await act(() => server.time.elapse(5000));
    server.begin(0, []);
    await act(() => server.time.elapse(10));
    expect(host.textContent).toBe("true undefined");
    await act(unmount);
    expect(server.closed).toBe(true);
  });
}
