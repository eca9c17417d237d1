import "../styles/streams.css";
import type { PageProps } from "../page.ts";
import { place } from "../router.ts";
import { Streams } from "./lists.tsx";
import { TableView } from "./table.tsx";
import { TopicView } from "./topic.tsx";
import { TopologyView } from "./topology.tsx";

/** Topics, what reads them, and what they are made into: a list of each, and a page for each of them. */
export default function StreamsPage(props: PageProps) {
  const [kind, name] = place.value;
  if (name !== undefined && name !== "") {
    if (kind === "topics") return <TopicView key={name} {...props} name={name} />;
    if (kind === "tables") return <TableView key={name} {...props} name={name} />;
    if (kind === "topologies") return <TopologyView key={name} {...props} name={name} />;
  }
  return <Streams {...props} />;
}
