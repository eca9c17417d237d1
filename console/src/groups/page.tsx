import "../styles/streams.css";
import "../styles/groups.css";
import type { PageProps } from "../page.ts";
import { place } from "../router.ts";
import { GroupView } from "./group.tsx";
import { Groups } from "./list.tsx";

/** The groups there are, or one of them. */
export default function GroupsPage(props: PageProps) {
  const [name] = place.value;
  return name === undefined || name === "" ? <Groups {...props} /> : <GroupView key={name} {...props} name={name} />;
}
