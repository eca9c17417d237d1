import { Copyable } from "../ui/copy.tsx";

/** What stands where the charts will be, until the first flight: what to do, and what will happen. */
export function Empty() {
  const command = commandFor(location.origin);
  return (
    <section class="panel empty" aria-labelledby="empty-title" data-testid="empty">
      <h2 id="empty-title">No flights yet</h2>
      <p>Run the demo above, or send three days of real flights, a little out of order, from another terminal:</p>
      <Copyable text={command} what="command" />
      <ol>
        <li>
          The records go to the topic <code>flights</code>, each to the partition of its origin.
        </li>
        <li>Tasks count them in windows of one hour an airport, and a model scores every flight.</li>
        <li>This page follows the table live; the board is written by the stream, the note by you.</li>
      </ol>
      <p class="hint">
        About 49,000 flights at 2,000 a second: it takes half a minute. Stop it and start it as you like, it goes on where it stood.
      </p>
    </section>
  );
}

/** The demo finds a server at the usual address by itself. */
export function commandFor(origin: string): string {
  return origin === "http://localhost:8787" ? "npm run demo" : `npm run demo -- --url ${origin}`;
}
