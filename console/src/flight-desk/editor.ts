import { defaultKeymap } from "@codemirror/commands";
import { EditorState, type Extension } from "@codemirror/state";
import { drawSelection, EditorView, keymap, placeholder } from "@codemirror/view";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import { UndoManager } from "yjs";
import type { DeskRoom } from "./room.ts";

/**
 * Puts an editor of the room's note into `host`, with the cursors of everyone else in it. This module is loaded on its
 * own, after the page: an editor is large. Returns what removes it again.
 */
export function mountEditor(host: HTMLElement, room: DeskRoom): () => void {
  const undoManager = new UndoManager(room.notes);
  const view = new EditorView({
    parent: host,
    state: EditorState.create({
      doc: room.notes.toString(),
      extensions: [
        // Tab is not bound: it leaves the editor, as it leaves any other field.
        keymap.of([...yUndoManagerKeymap, ...defaultKeymap]),
        drawSelection(),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "Shared note" }),
        placeholder("Write something. Everyone who has this page open sees it at once."),
        yCollab(room.notes, room.awareness, { undoManager }) as Extension,
        room.readOnly ? [EditorState.readOnly.of(true), EditorView.editable.of(false)] : [],
        look,
      ],
    }),
  });
  return () => {
    view.destroy();
    undoManager.destroy();
  };
}

const look = EditorView.theme({
  "&": { height: "100%", fontSize: "14px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "inherit", lineHeight: "1.6" },
  ".cm-content": { padding: "12px 2px", caretColor: "var(--text)" },
  ".cm-cursor": { borderLeftColor: "var(--text)", borderLeftWidth: "2px" },
  ".cm-placeholder": { color: "var(--muted)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "var(--selection)",
  },
  // The name beside another's cursor is always shown: on a touch screen nothing hovers.
  ".cm-ySelectionInfo": {
    opacity: "1",
    top: "-1.15em",
    padding: "0 4px",
    borderRadius: "3px 3px 3px 0",
    fontFamily: "inherit",
    fontSize: "10px",
    fontWeight: "600",
    lineHeight: "1.5",
  },
});
