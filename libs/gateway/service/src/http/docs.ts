// /docs: the reference as one page, made from the registry. It loads nothing and runs nothing.

import { hash } from 'node:crypto';
import { PROBLEMS } from './problem.js';
import type { Route } from './route.js';

const STYLE = `
:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
details{border:1px solid var(--line);border-radius:.4rem;margin:.4rem 0;padding:.3rem .7rem}
summary{cursor:pointer}code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:var(--soft);padding:.7rem;overflow:auto;max-height:28rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
b.method{display:inline-block;min-width:4.2rem}span.access{float:right;opacity:.7}
:target{outline:2px solid}`;

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

type Document = Readonly<Record<string, unknown>>;

const json = (value: unknown): string => `<pre>${escape(JSON.stringify(value, undefined, 2))}</pre>`;

const routeHtml = (route: Route, operation: unknown): string => `
<details id="${escape(`${route.method.toLowerCase()}-${route.path}`)}">
<summary><b class="method">${route.method}</b> <code>${escape(route.path)}</code> ${escape(route.summary)}
<span class="access">${route.policy.access}</span></summary>${json(operation)}</details>`;

const problemHtml = ([code, { status, title, hint }]: [string, (typeof PROBLEMS)[keyof typeof PROBLEMS]]): string =>
  `<tr id="${code}"><td>${status}</td><td><code>${code}</code></td><td>${escape(title)}</td><td>${escape(hint)}</td></tr>`;

const operationIn = (document: Document, { path, method }: Route): unknown =>
  (document['paths'] as Record<string, Record<string, unknown>>)[path]?.[method.toLowerCase()];

const sectionHtml = (tag: string, routes: readonly Route[], document: Document): string =>
  `<h2>${escape(tag)}</h2>${routes.map((route) => routeHtml(route, operationIn(document, route))).join('')}`;

const schemasHtml = (document: Document): string =>
  Object.entries((document['components'] as { schemas: Record<string, unknown> }).schemas)
    .map(
      ([name, schema]) =>
        `<details id="schema-${escape(name)}"><summary>${escape(name)}</summary>${json(schema)}</details>`,
    )
    .join('');

export const renderDocs = (routes: readonly Route[], document: Document): string => {
  const tags = [...new Set(routes.map(({ tag }) => tag))];
  const sections = tags.map((tag) =>
    sectionHtml(
      tag,
      routes.filter((route) => route.tag === tag),
      document,
    ),
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>NEXUSMON: the gateway's surface</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>${STYLE}</style></head><body>
<h1>NEXUSMON: the gateway's surface</h1>
<p>The same as <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1), to read. <code>operator</code> routes need the token
that <code>POST /v1/auth/login</code> answers with.</p>
${sections.join('')}
<h2>Schemas</h2>${schemasHtml(document)}
<h2>Problems</h2><table><tr><th>status</th><th>code</th><th>title</th><th>what to do next</th></tr>
${Object.entries(PROBLEMS).map(problemHtml).join('')}</table></body></html>`;
};

/** The one style sheet of the page, by its digest: inline text of any other kind stays forbidden. */
export const DOCS_POLICY = `default-src 'none'; style-src 'sha256-${hash('sha256', STYLE, 'base64')}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`;
