import { render } from "preact";
import { App } from "./app.tsx";
import { restore } from "./platform/session.ts";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";

void restore();
render(<App />, document.getElementById("app")!);
