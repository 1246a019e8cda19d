// The document around every page of console and portal, and the policy that goes with it.
import { type Html, hashOf, html } from './html.ts';
import { newsScript } from './news.ts';
import { style } from './style.ts';
import type { WebLanguage } from './web-language.ts';

/**
 * The policy of pages: this style sheet, the one script, pictures, frames, questions and forms of this site, and
 * nothing else.
 */
export const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src ${hashOf(style)}`,
  `script-src ${newsScript.source}`,
  "connect-src 'self'",
  "img-src 'self'",
  "frame-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

/** Returns a whole document. */
export function document(parts: { title: string; language: WebLanguage; body: Html }): string {
  return html`<!doctype html>
<html lang="${parts.language.tag}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>${parts.title}</title>
<style>${{ html: style }}</style>
</head>
<body>
<a class="skip" href="#main">${parts.language.texts.frame.skip}</a>
${parts.body}
</body>
</html>
`.html;
}
