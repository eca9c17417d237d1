import type { OpenAPIHono } from "@hono/zod-openapi";
import { ERRORS, type ErrorCode } from "../../core/wire/errors.ts";
import type { AppEnv } from "../env.ts";
import { withCommonErrors } from "../middleware/openapi.ts";

const INFO = {
  openapi: "3.1.0",
  info: {
    title: "Skerry",
    version: "0.1.0",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    description:
      "One backend for local-first apps and fleets of agents. Errors are RFC 9457 problem documents with a stable `code`, [listed here](/docs/errors). " +
      "Every answer names the level it achieved in `Skerry-Level`, and carries `Skerry-Context`: send the last one back to read your own writes anywhere.",
  },
  servers: [{ url: "/" }],
  security: [{ bearer: [] }, { query: [] }],
};

/** Registers `/openapi.json`, the reference at `/docs` and the list of errors at `/docs/errors`. */
export function docsRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "The admin key, or a token made at POST /v1/tokens.",
  });
  app.openAPIRegistry.registerComponent("securitySchemes", "query", {
    type: "apiKey",
    in: "query",
    name: "token",
    description: "The same, for sockets of clients that cannot send headers.",
  });
  // The routes are fixed once the app is made, so the document is made once.
  let document: string | undefined;
  app.get("/openapi.json", (c) => {
    document ??= JSON.stringify(withCommonErrors(app.getOpenAPI31Document(INFO)));
    return c.body(document, 200, { "content-type": "application/json", "cache-control": "max-age=60" });
  });
  app.get("/docs", (c) => c.html(REFERENCE));
  app.get("/docs/", (c) => c.redirect("/docs", 301));
  app.get("/docs/errors", (c) => c.html(ERROR_PAGE));
}

const HEAD = `<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/favicon.svg" type="image/svg+xml">`;

/** What stands on top of both pages. The style and the scripts are files: the content security policy allows no inline script. */
const BAR = `<a class="skip" href="#content">To the text</a>
<header class="bar">
<a class="home" href="/docs">Skerry <span>reference</span></a>
<nav aria-label="This deployment"><a href="/docs/errors">Errors</a><a href="/guide/">Guide</a><a href="/">Console</a></nav>
</header>`;

// The page's scripts and styles are files of the swagger-ui-dist package and our own, which the build puts among the assets.
const REFERENCE = `<!doctype html>
<html lang="en">
<head>
${HEAD}
<title>Skerry reference</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/reference.css">
<script src="/docs/reference.js"></script>
<script src="/docs/swagger-ui-bundle.js" defer></script>
</head>
<body>
${BAR}
<main id="content" tabindex="-1">
<div id="reference"><p>The reference needs its assets: run <code>npm run build</code>. The raw document is at <a href="/openapi.json">/openapi.json</a>, the error codes at <a href="/docs/errors">/docs/errors</a>.</p></div>
</main>
</body>
</html>
`;

const ERROR_PAGE = errorPage();

function errorPage(): string {
  const rows = (Object.keys(ERRORS) as ErrorCode[]).map((code) => {
    const { title, status, close, retryable } = ERRORS[code];
    return `<tr id="${code}"><th scope="row"><a href="#${code}"><code>${code}</code></a></th><td>${escapeHtml(title)}</td><td>${status}</td><td>${close}</td><td>${retryable ? "yes" : "no"}</td></tr>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
${HEAD}
<title>Skerry errors</title>
<link rel="stylesheet" href="/docs/reference.css">
<script src="/docs/reference.js"></script>
</head>
<body>
${BAR}
<main class="errors" id="content" tabindex="-1">
<h1>Errors</h1>
<p>Every error is a problem document (RFC 9457, <code>application/problem+json</code>) with a stable <code>code</code>: switch on the code, show the <code>detail</code>.
A socket closes with the close code, and the code as its reason. <em>Retryable</em> means that the same request can succeed later without a change;
wait as long as <code>Retry-After</code> says, or a little longer each time. Standard protocols keep their own error shape.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Error codes, a row each">
<table>
<thead><tr><th scope="col">Code</th><th scope="col">Meaning</th><th scope="col">Status</th><th scope="col">Close</th><th scope="col">Retryable</th></tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
</table>
</div>
</main>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
