import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { Replica } from "./replica.ts";

const AUTHOR = 2 ** 40;

function replicaOf(write: (doc: Y.Doc) => void): Replica {
  const doc = new Y.Doc();
  write(doc);
  return new Replica(Y.encodeStateAsUpdate(doc));
}

describe("reading as JSON", () => {
  it("[JS1] tells maps, texts, arrays and XML apart by what is in them", () => {
    const replica = replicaOf((doc) => {
      doc.getMap("board").set("ATL", { delay: 12.5, tags: ["late", null, true] });
      doc.getMap("board").set("nested", new Y.Map([["list", Y.Array.from([1, new Y.Text("two")])]]));
      doc.getMap("board").set("gone", 1);
      doc.getMap("board").delete("gone");
      doc.getText("note").applyDelta([{ insert: "plain " }, { insert: "bold", attributes: { bold: true } }]);
      doc.getArray("list").push([1, "two", [3]]);
      const p = new Y.XmlElement("p");
      p.insert(0, [new Y.XmlText("hello")]);
      doc.getXmlFragment("page").insert(0, [p]);
      doc.getText("emptied").insert(0, "x");
      doc.getText("emptied").delete(0, 1);
    });
    expect(JSON.parse(replica.json())).toEqual({
      board: { ATL: { delay: 12.5, tags: ["late", null, true] }, nested: { list: [1, "two"] } },
      list: [1, "two", [3]],
      note: "plain bold",
      page: "<p>hello</p>",
    });
  });

  it("[JS1] writes what JSON does not have: bytes, subdocuments, big integers, undefined", () => {
    const replica = replicaOf((doc) => {
      doc.getArray("list").push([new Uint8Array([1, 255]), new Y.Doc({ guid: "child" }), { big: 2n ** 60n, nothing: undefined }]);
    });
    expect(JSON.parse(replica.json())).toEqual({ list: [{ bytes: [1, 255] }, { subdocument: "child" }, { big: "1152921504606846976" }] });
  });

  it("[JS1] refuses a document nested too deeply", () => {
    const replica = replicaOf((doc) => {
      doc.transact(() => {
        let map = doc.getMap<unknown>("root");
        for (let depth = 0; depth < 12_000; depth++) {
          const child = new Y.Map<unknown>();
          map.set("child", child);
          map = child;
        }
        map.set("end", 1);
      });
    });
    expect(() => replica.json()).toThrow(expect.objectContaining({ code: "too_large" }));
  });

  it("leaves the types as they are: reading does not stop a later write", () => {
    const replica = replicaOf((doc) => doc.getText("board").insert(0, "text"));
    replica.json();
    expect(replica.patch({ map: "board", set: { a: 1 }, delete: [] }, AUTHOR)).not.toBeNull();
  });
});

describe("writing as the server", () => {
  it("[RM12] writes under the author's id alone, from its next clock on, in one update", () => {
    const first = new Replica(new Uint8Array([0, 0]));
    const one = first.patch({ map: "m", set: { a: 1, b: { deep: [1] } }, delete: [] }, AUTHOR) as Uint8Array;
    const second = new Replica(one);
    const two = second.patch({ map: "m", set: { a: 2, b: { deep: [1] } }, delete: [] }, AUTHOR) as Uint8Array;
    expect(Y.parseUpdateMeta(two)).toEqual({ from: new Map([[AUTHOR, 2]]), to: new Map([[AUTHOR, 3]]) });
    const doc = new Y.Doc();
    for (const update of [two, one]) Y.applyUpdate(doc, update);
    expect(doc.getMap("m").toJSON()).toEqual({ a: 2, b: { deep: [1] } });
  });

  it("[RM11] returns null where nothing differs, nested values included", () => {
    const replica = new Replica(new Uint8Array([0, 0]));
    const patch = { map: "m", set: { a: { x: [1, null, { y: "z" }] } }, delete: ["missing"] };
    expect(replica.patch(patch, AUTHOR)).not.toBeNull();
    expect(replica.patch(patch, AUTHOR)).toBeNull();
  });
});
