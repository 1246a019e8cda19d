// The pages of the simulated Entra ID: plain, with links to press, so that a person or a headless browser can go through.

import type { Answer } from '../answers.ts';
import type { Account } from './accounts.ts';

const cookieName = 'simulated-account';

/** The cookie that remembers who is signed in at the simulated Entra ID. */
export function cookieOf(account: Account): string {
  return `${cookieName}=${encodeURIComponent(account.principal)}; Path=/; HttpOnly; Secure; SameSite=None`;
}

/** Who is signed in, by that cookie. */
export function principalIn(cookies: string | undefined): string | undefined {
  const value = new RegExp(`(?:^|; )${cookieName}=([^;]*)`).exec(cookies ?? '')?.[1];
  return value === undefined ? undefined : decodeURIComponent(value);
}

/** Sends the browser back to the application. */
export function redirect(uri: string, values: Readonly<Record<string, string>>): Answer {
  const query = new URLSearchParams(values).toString();
  return { status: 302, headers: { Location: `${uri}${uri.includes('?') ? '&' : '?'}${query}` } };
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

function pageOf(title: string, content: string, status = 200): Answer {
  const body = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escaped(title)} (simulated)</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; background: #eef1f5; color: #222; margin: 0 }
main { max-width: 27rem; margin: 3rem auto; background: #fff; padding: 2rem; border: 1px solid #ccd }
a.choice { display: block; padding: .6rem .8rem; margin: .5rem 0; border: 1px solid #ccd; color: inherit; text-decoration: none }
small { color: #666; display: block }</style></head>
<body><main><small>Simulated Entra ID</small><h1>${escaped(title)}</h1>
${content}
</main></body></html>
`;
  return { status, headers: { 'Content-Type': 'text/html; charset=utf-8' }, body };
}

function choice(url: string, values: Readonly<Record<string, string>>, label: string, says = ''): string {
  const [path = '', query = ''] = url.split('?', 2);
  const parameters = new URLSearchParams(query);
  for (const [name, value] of Object.entries(values)) parameters.set(name, value);
  const name = Object.values(values).join(' ');
  return `<a class="choice" data-choice="${escaped(name)}" href="${escaped(`${path}?${parameters}`)}">${escaped(label)}<small>${escaped(says)}</small></a>`;
}

/** The page to pick an account on. */
export function pickPage(title: string, url: string, accounts: readonly Account[]): Answer {
  const choices = accounts.map((account) =>
    choice(url, { account: account.principal }, account.principal, account.says),
  );
  return pageOf(title, `${choices.join('\n')}\n${choice(url, { cancel: 'cancel' }, 'Cancel')}`);
}

/** What an administrator consents to. */
export function consentPage(url: string, account: Account, roles: readonly string[]): Answer {
  const list = roles.map((role) => `<li>${escaped(role)}</li>`).join('');
  return pageOf(
    'Permissions requested: review for your organization',
    `<p>${escaped(account.principal)}</p><ul>${list}</ul>${choice(url, { decision: 'accept' }, 'Accept')}${choice(url, { decision: 'cancel' }, 'Cancel')}`,
  );
}

/** What somebody sees who may not consent. */
export function needAdminPage(url: string, account: Account): Answer {
  return pageOf(
    'Need admin approval',
    `<p>${escaped(account.principal)} (${escaped(account.says)}) may not grant this.</p>${choice(url, { decision: 'cancel' }, 'Return to the application without granting consent')}`,
  );
}

/** What is shown where nobody can be sent back. */
export function errorPage(code: string, says: string): Answer {
  return pageOf("Sorry, but we're having trouble signing you in.", `<p>${escaped(`${code}: ${says}`)}</p>`, 400);
}
