import { html, Html } from "../ci/report/page/html.js"
import { style } from "../ci/report/page/style.js"
import { auditCaption, auditFindings, auditParagraphs, auditTable } from "../frontends/audit.js"
import type { NewestAudit } from "../frontends/frontend.js"
import { moment } from "../lib/text.js"

/** Files of the folder beside those of each app, which are in a folder of its name. */
const files = { page: "index.html", summary: "summary.md" }

/**
 * The files of a folder with the newest audit of each web app, by their paths: a page, a summary in Markdown, and what the bucket has.
 *
 * @param env name of the environment
 */
export function auditsFolder(env: string, all: NewestAudit[]): Map<string, string | Uint8Array> {
  return new Map<string, string | Uint8Array>([
    [files.page, page(env, all)],
    [files.summary, summary(env, all)],
    ...all.flatMap((one) =>
      one.found === "audit"
        ? [...one.files].map(([name, body]): [string, Uint8Array] => [`${one.app}/${name}`, body])
        : [],
    ),
  ])
}

type AuditOfApp = Extract<NewestAudit, { found: "audit" }>

/** What an audit came to, with the colour and the sign of the page's style. */
function outcomeOf(one: NewestAudit): { word: string; tone: string; sign: string } {
  if (one.found !== "audit")
    return one.found === "none"
      ? { word: "no audit", tone: "idle", sign: "–" }
      : { word: "cannot be read", tone: "odd", sign: "!" }
  const { faults } = one.audit
  if (one.missing.length > 0 || !faults) return { word: "incomplete", tone: "odd", sign: "!" }
  return faults.length > 0
    ? { word: "refused", tone: "bad", sign: "✗" }
    : { word: "passed", tone: "good", sign: "✓" }
}

function standing({ release, live }: AuditOfApp): string {
  if (live === release) return "visitors have it"
  return live === undefined ? "no release is live" : `visitors have release ${live}`
}

const missingText = ({ missing }: AuditOfApp): string =>
  `The bucket does not have all of it: ${missing.join(", ")} is missing.`

const noApps = (env: string) => `${env} has no web app.`

function summary(env: string, all: NewestAudit[]): string {
  const parts = all.flatMap((one) => {
    const head = `## ${one.app}: ${outcomeOf(one).word}`
    if (one.found !== "audit") return [head, one.reason]
    return [
      head,
      `Release \`${one.release}\`, ${moment(new Date(one.at))}; ${standing(one)}.`,
      ...(one.missing.length > 0 ? [missingText(one)] : []),
      ...auditParagraphs(one.audit),
    ]
  })
  return `${[`# Audits of ${env}`, ...(all.length === 0 ? [noApps(env)] : parts)].join("\n\n")}\n`
}

function page(env: string, all: NewestAudit[]): string {
  const title = `Audits of ${env}`
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file:"
        />
        <title>${title}</title>
        <style>
          ${new Html(style)}
        </style>
      </head>
      <body>
        <header class="page-header">
          <p class="name">Pitwall</p>
          <h1>${title}</h1>
        </header>
        <main>${all.length === 0 ? html`<p>${noApps(env)}</p>` : all.map(section)}</main>
      </body>
    </html> `.markup
}

function section(one: NewestAudit): Html {
  const { word, tone, sign } = outcomeOf(one)
  return html`<section id="${one.app}">
    <h2>
      ${one.app}
      <span class="badge ${tone}"><span class="sign" aria-hidden="true">${sign}</span>${word}</span>
    </h2>
    ${one.found === "audit" ? audit(one) : html`<p>${one.reason}</p>`}
  </section> `
}

function audit(one: AuditOfApp): Html {
  const { heads, rows } = auditTable(one.audit)
  const { app, release, at, missing } = one
  const { faults = [], pages } = one.audit
  const findings = auditFindings(one.audit)
  const link = (name: string) => html`<a href="${app}/${name}">${name}</a>`
  return html`<p>
      Release <code>${release}</code>, ${moment(new Date(at))}; ${standing(one)}.
      ${[...one.files.keys()].filter((name) => !name.endsWith(".png")).map((name) => html`${link(name)} `)}
    </p>
    ${missing.length > 0 && html`<p class="note odd">${missingText(one)}</p>`}
    ${
      faults.length > 0 &&
      html`<ul>
        ${faults.map((fault) => html`<li>${fault}</li>`)}
      </ul>`
    }
    <div class="wide">
      <table>
        <caption>
          ${auditCaption(one.audit)}
        </caption>
        <thead>
          <tr>
            ${heads.map((head) => html`<th scope="col">${head}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            ([name = "", ...cells]) =>
              html`<tr>
                <th scope="row">${name}</th>
                ${cells.map((cell) => html`<td>${cell}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${
      findings.length > 0 &&
      html`<ul class="alerts">
        ${findings.map(
          ({ text, places }) =>
            html`<li>
              ${text} <span class="place">${places.map((place) => html`<code>${place}</code> `)}</span>
            </li>`,
        )}
      </ul>`
    }
    <div class="pictures">
      ${pages.map(({ path, device, screenshot }) => {
        const what = `${path} on ${device}`
        return html`<figure>
          ${
            one.files.has(screenshot)
              ? html`<a href="${app}/${screenshot}"
                  ><img src="${app}/${screenshot}" alt="${what}" loading="lazy"
                /></a>`
              : html`<p>${screenshot} is missing</p>`
          }
          <figcaption>${what}</figcaption>
        </figure>`
      })}
    </div>`
}
