// The frame of every page of the console: header, navigation, the problems of a form.
import type { Route } from '../access.ts';
import { document } from '../frame.ts';
import { type Html, html, nothing, postForm } from '../html.ts';
import type { Content, View } from '../page.ts';
import { tenantNewsLine } from './news.ts';

const entries: readonly { section: string; label: string; path: string; route: Route }[] = [
  { section: 'tenants', label: 'Tenants', path: '/console', route: 'GET /console' },
  { section: 'find', label: 'Find', path: '/console/find', route: 'GET /console/find' },
  { section: 'invitations', label: 'Invitations', path: '/console/invitations', route: 'GET /console/invitations' },
  { section: 'webhooks', label: 'Webhooks', path: '/console/webhooks', route: 'GET /console/webhooks' },
  { section: 'audit', label: 'Audit', path: '/console/audit', route: 'GET /console/audit' },
];

/** Returns the whole page. */
export function consoleFrame(view: View<unknown>, { title, content, section }: Content): string {
  // A screen reader says the title first: a form that came back is not taken for one that was saved.
  const isRefused = (view.form?.problems.length ?? 0) > 0;
  return document({
    title: `${isRefused ? 'Nothing was changed · ' : ''}${title} · entra-sync`,
    language: view.language,
    body: html`<header class="top"><strong>entra-sync</strong>${navigation(view, section)}</header>
<main id="main">${problemsOf(view, content)}${content}</main>${view.params.tenant ? tenantNewsLine(view) : nothing}`,
  });
}

function navigation(view: View<unknown>, section: string | undefined): Html {
  const links = entries
    .filter(({ route }) => view.may(route))
    .map(
      (entry) =>
        html`<a href="${view.href(entry.path)}"${entry.section === section ? html` aria-current="page"` : nothing}>${entry.label}</a>`,
    );
  const own = view.serves('GET /me') ? html`<a href="${view.href('/me')}">My page</a>` : nothing;
  return html`<nav aria-label="Console">${links}${own}</nav>
<div class="viewer"><span>${view.viewer.shownAs}</span>${postForm(view, '/leave', html`<button class="quiet">Sign out</button>`)}</div>`;
}

// The summary links to each field, and takes the focus.
function problemsOf({ form }: View<unknown>, { html: content }: Html): Html {
  if (!form || form.problems.length === 0) return nothing;
  const lines = form.problems.map(({ field, message }) =>
    field === undefined || !content.includes(html` id="${field}"`.html)
      ? html`<li>${message}</li>`
      : html`<li><a href="#${field}">${message}</a></li>`,
  );
  return html`<div class="error" role="alert" tabindex="-1" autofocus><p><strong>Nothing was changed.</strong></p><ul>${lines}</ul></div>`;
}
