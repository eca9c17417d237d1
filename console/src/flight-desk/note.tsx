import { useEffect, useRef, useState } from "preact/hooks";
import { Panel } from "../ui/panel.tsx";
import { People } from "./presence.tsx";
import type { DeskRoom } from "./room.ts";

/** The note everyone shares, with who else is here. The editor's code comes when the note comes into view. */
export function Note({ room }: { room: DeskRoom }) {
  const frame = useRef<HTMLDivElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const [state, setState] = useState<"waiting" | "ready" | "failed">("waiting");

  useEffect(() => {
    let unmount: (() => void) | null = null;
    let gone = false;
    const observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
        observer.disconnect();
        import("./editor.ts").then(
          ({ mountEditor }) => {
            if (gone) return;
            unmount = mountEditor(host.current!, room);
            setState("ready");
          },
          () => setState("failed"),
        );
      },
      { rootMargin: "600px" },
    );
    observer.observe(frame.current!);
    return () => {
      gone = true;
      observer.disconnect();
      unmount?.();
    };
  }, [room]);

  const connection = room.connection.value;
  return (
    <Panel
      title="Shared note"
      class="note"
      problem={connection.state === "refused" ? connection.detail : null}
      aside={<People room={room} />}
    >
      {/* Who may not read it is not asked to write. What was written before it was refused stays in sight. */}
      <div class="editor" ref={frame} hidden={connection.state === "refused" && !room.synced.value}>
        <div ref={host} class="editor-host" />
        {state === "waiting" && <p class="empty-note">The editor is on its way …</p>}
        {state === "failed" && <p class="empty-note">The editor could not be loaded. Reload the page to try again.</p>}
      </div>
      <p class="note-state" role="status" data-testid="note-state">
        {said(room)}
      </p>
    </Panel>
  );
}

/** Where the note stands, in words: whether what was written is durable, and if not why. */
function said(room: DeskRoom): string {
  const { state } = room.connection.value;
  if (state === "refused" && !room.synced.value) return "Not open.";
  if (room.readOnly) return "You may read this note, not change it.";
  if (state === "live") return room.saved.value ? (room.synced.value ? "Saved" : "Opening …") : "Saving …";
  if (state === "connecting") return "Connecting …";
  return room.saved.value
    ? "Not connected. You can write; it is sent when the connection is back."
    : "Not connected: your changes are kept in this tab and not saved yet.";
}
