// The frame of every page of the consent: style sheet, script, logo and footer.
import type { Brand } from '../brand.ts';
import { accentsOf } from '../color.ts';
import { type Html, hashOf, html, nothing, say } from '../html.ts';
import type { Language } from './language.ts';

const papers = { light: ['#ffffff'], dark: ['#161b22'] };

const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #ffffff; --ground: #f3f5f8; --line: #d8dee4;
  --accent: #0b5cad; --on-accent: #fff; --good: #1a7f37; --bad: #b3261e; --note: #fff8e1; --note-line: #d4a72c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa7b4; --paper: #161b22; --ground: #0d1117;
  --line: #30363d; --accent: #6cb2ff; --on-accent: #06192e; --good: #56d364; --bad: #ff8a80; --note: #2b2410; --note-line: #9e7b1b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 44rem; margin: 0 auto; padding: 2.5rem 1rem 3rem; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 2rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; text-wrap: balance; }
h2 { font-size: 1.05rem; margin: 1.75rem 0 .4rem; }
p { margin: .5rem 0; }
.lead { color: var(--soft); margin-bottom: 1rem; }
.steps { display: flex; gap: .5rem; list-style: none; padding: 0; margin: 0 0 1.5rem; font-size: .875rem; color: var(--soft); }
.steps li { flex: 1; border-top: 3px solid var(--line); padding-top: .4rem; }
.steps li.done { border-color: var(--good); }
.steps li[aria-current] { border-color: var(--accent); color: var(--ink); font-weight: 600; }
ul, ol { padding-inline-start: 1.25rem; margin: .4rem 0; }
li { margin: .2rem 0; }
dl { margin: .5rem 0; }
dt { font-weight: 600; margin-top: .75rem; overflow-wrap: anywhere; }
dd { margin: .1rem 0 0; color: var(--soft); }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.note { background: var(--note); border-inline-start: 4px solid var(--note-line); border-radius: 4px; padding: .6rem .9rem; margin: 1rem 0; }
.mark { font-size: .875rem; font-weight: 600; margin: 0 0 .5rem; }
.mark.good { color: var(--good); } .mark.bad { color: var(--bad); }
.actions { margin: 1.25rem 0; display: flex; flex-wrap: wrap; gap: .75rem; }
button, .button { appearance: none; border: 1px solid var(--accent); background: var(--accent); color: var(--on-accent); font: inherit;
  font-weight: 600; padding: .7rem 1.25rem; border-radius: 8px; cursor: pointer; text-decoration: none; display: inline-block; text-align: center; }
button:focus-visible, a:focus-visible, .button:focus-visible, summary:focus-visible { outline: 3px solid var(--note-line); outline-offset: 2px; }
a { color: var(--accent); } a.button { color: var(--on-accent); }
.second, a.button.second { background: transparent; color: var(--accent); }
summary { cursor: pointer; color: var(--soft); }
.logo { display: block; max-width: 14rem; max-height: 3rem; margin: 0 0 1.25rem; }
footer { color: var(--soft); font-size: .875rem; padding: 1rem .25rem; }
footer a { margin-inline-end: 1rem; }
@media (max-width: 30rem) { main { padding: 1rem .75rem 2rem; } .card { padding: 1.25rem; } h1 { font-size: 1.35rem; }
  .actions form, .actions .button, button { width: 100%; } }
`;

function styleOf({ color }: Brand): string {
  if (color === undefined) return style;
  const { light, dark } = accentsOf(color, papers);
  return `${style}:root { --accent: ${light.accent}; --on-accent: ${light.onAccent}; }
@media (prefers-color-scheme: dark) { :root { --accent: ${dark.accent}; --on-accent: ${dark.onAccent}; } }
`;
}

// The one thing that only a browser knows: the reader's time zone. Without the script the times are in UTC.
const script = `
for (const time of document.querySelectorAll('time'))
  time.textContent = new Intl.DateTimeFormat(document.documentElement.lang, { weekday: 'long', year: 'numeric', month: 'long',
    day: 'numeric', hour: 'numeric', minute: '2-digit', timeZoneName: 'short' }).format(new Date(time.dateTime));
`;

/**
 * Returns a policy that allows this style sheet, this script and a picture of this site, and forms that lead here or
 * redirect to the sign-in host.
 */
export function contentSecurityPolicy(authorityHost: string, brand: Brand): string {
  return [
    "default-src 'none'",
    `style-src ${hashOf(styleOf(brand))}`,
    `script-src ${hashOf(script)}`,
    ...(brand.logo ? ["img-src 'self'"] : []),
    `form-action 'self' ${authorityHost}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');
}

/** The policy of the logo itself, which may be an SVG: opened alone it runs nothing. */
export const logoPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'; base-uri 'none'";

/** The path of the logo below the public address. */
export const logoPath = '/logo';

/** The site that shows a page: its address, the vendor's brand, and the reader's language. */
export type Site = {
  /** The public address, without a trailing slash. */
  readonly url: string;
  readonly brand: Brand;
  readonly language: Language;
};

/** Returns a whole page. */
export function page({ url, brand, language }: Site, title: string, content: Html): string {
  const { product, contact, privacyUrl, termsUrl } = brand;
  const { footer } = language.texts;
  const links = [
    [contact, footer.contact],
    [privacyUrl, footer.privacy],
    [termsUrl, footer.terms],
  ].flatMap(([to, label]) => (to === undefined ? [] : [html`<a href="${to}" rel="noreferrer">${label ?? ''}</a>`]));
  return html`<!doctype html>
<html lang="${language.tag}" dir="${language.direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>${title} · ${product}</title>
<style>${{ html: styleOf(brand) }}</style>
</head>
<body>
<main>
<div class="card">
${brand.logo ? html`<img class="logo" src="${url}${logoPath}" alt="${product}">` : nothing}
${content}
</div>
<footer><p>${say(footer.promise, { product })}</p>${links.length > 0 ? html`<p>${links}</p>` : nothing}</footer>
</main>
<script>${{ html: script }}</script>
</body>
</html>
`.html;
}
