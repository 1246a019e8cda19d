// The frame of every page of the portal: header with the tenant's name, languages, the problems of a form.
import { consoleStart } from '../access.ts';
import { document } from '../frame.ts';
import { type Html, html, nothing, postForm, say } from '../html.ts';
import type { Content, View } from '../page.ts';
import { portalLanguages, textsOf } from './language.ts';

export type Section = 'me' | 'team';

/** The tenant and its settings of the portal, and the name of the viewer. */
export type Head = {
  readonly tenant: string;
  readonly person: string;
  readonly timeZone: string;
  readonly help: { readonly text: string; readonly url?: string } | null;
  readonly portal: { readonly people: boolean; readonly managers: boolean; readonly history: string };
};

/** Returns the whole page. */
export function portalFrame(view: View<unknown>, { title, content, header }: Content): string {
  // A screen reader says the title first: a form that came back is not taken for one that was saved.
  const isRefused = (view.form?.problems.length ?? 0) > 0;
  return document({
    title: isRefused ? `${textsOf(view).problems.nothing.replace(/\.$/, '')} · ${title}` : title,
    language: view.language,
    body: html`${header ?? html`<header class="top">${viewerOf(view, '')}</header>`}
<main id="main" class="portal">${problemsOf(view)}${content}</main>`,
  });
}

/** Returns the header of a page: the tenant, the pages of the viewer, languages, the way out. */
export function headerOf(view: View<unknown>, { tenant, person }: Head, section: Section): Html {
  const { header } = textsOf(view);
  const entry = (to: Section, label: string) =>
    html`<a href="${view.href(`/${to}`)}"${to === section ? html` aria-current="page"` : nothing}>${label}</a>`;
  const entries = [entry('me', header.me), ...(view.may('GET /team') ? [entry('team', header.team)] : [])];
  const ofConsole = consoleStart(view.viewer.tenantId, view.serves);
  if (ofConsole !== undefined) entries.push(html`<a href="${view.href(ofConsole)}">${header.console}</a>`);
  return html`${standing(view, person)}<header class="top"><strong>${tenant}</strong>
<nav aria-label="${header.pages}">${entries}</nav>${viewerOf(view, person)}</header>`;
}

function viewerOf(view: View<unknown>, person: string): Html {
  const { header } = textsOf(view);
  const others = portalLanguages
    .filter(({ tag }) => tag !== view.language.tag)
    .map(({ tag, name }) => html`<a lang="${tag}" hreflang="${tag}" href="${view.here({ lang: tag })}">${name}</a>`);
  return html`<div class="viewer">${person === '' ? nothing : html`<span>${person}</span>`}<nav aria-label="${header.languages}">${others}</nav>${postForm(view, '/leave', html`<button class="quiet">${header.signOut}</button>`)}</div>`;
}

// On this machine an operator looks as a person.
function standing({ viewer, ...view }: View<unknown>, name: string): Html {
  if (!viewer.standing) return nothing;
  const { header } = textsOf({ viewer, ...view });
  const { actor, looksOnly } = viewer.standing;
  return html`<p class="bar">${say(header.standing, { name, actor })} ${say(looksOnly ? header.looksOnly : header.savesAsThem, { name })}</p>`;
}

// The summary links to each field, and takes the focus.
function problemsOf(view: View<unknown>): Html {
  const { form } = view;
  if (!form || form.problems.length === 0) return nothing;
  const lines = form.problems.map(({ field, message }) =>
    field === undefined ? html`<li>${message}</li>` : html`<li><a href="#${field}">${message}</a></li>`,
  );
  return html`<div class="error" role="alert" tabindex="-1" autofocus><p><strong>${textsOf(view).problems.nothing}</strong></p><ul>${lines}</ul></div>`;
}
