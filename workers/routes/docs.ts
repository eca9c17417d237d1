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
      "One backend for local-first apps and fleets of agents. Errors are RFC 9457 problem documents with a stable `code`; see /docs/errors. " +
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
  app.get("/docs/start.js", (c) => c.body(START, 200, { "content-type": "text/javascript; charset=utf-8" }));
  app.get("/docs/errors", (c) => c.html(ERROR_PAGE));
}

// The page itself; its scripts and styles are files of the swagger-ui-dist package that the build copies to the assets.
const REFERENCE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Skerry reference</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="reference"><p>The reference needs its assets: run <code>npm run build</code>. The raw document is at <a href="/openapi.json">/openapi.json</a>, the error codes at <a href="/docs/errors">/docs/errors</a>.</p></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

// A file of its own: the content security policy allows no inline scripts.
const START = `if (window.SwaggerUIBundle) {
  window.SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#reference",
    deepLinking: true,
    tryItOutEnabled: true,
    // The admin key or a token stays in this page's memory and is gone with it.
    persistAuthorization: false,
    validatorUrl: null,
  });
}
`;

const ERROR_PAGE = errorPage();

function errorPage(): string {
  const rows = (Object.keys(ERRORS) as ErrorCode[]).map((code) => {
    const { title, status, close, retryable } = ERRORS[code];
    return `<tr id="${code}"><td><a href="#${code}"><code>${code}</code></a></td><td>${escapeHtml(title)}</td><td>${status}</td><td>${close}</td><td>${retryable ? "yes" : "no"}</td></tr>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Skerry errors</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
tr:target { background: color-mix(in srgb, gold 35%, transparent); }
</style>
</head>
<body>
<h1>Errors</h1>
<p>Every error is a problem document (RFC 9457, <code>application/problem+json</code>) with a stable <code>code</code>: switch on the code, show the <code>detail</code>.
A socket closes with the close code, and the code as its reason. <em>Retryable</em> means that the same request can succeed later without a change;
wait as long as <code>Retry-After</code> says, or a little longer each time. Standard protocols keep their own error shape.</p>
<table>
<thead><tr><th>Code</th><th>Meaning</th><th>Status</th><th>Close</th><th>Retryable</th></tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
</table>
<p><a href="/docs">Reference</a></p>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
