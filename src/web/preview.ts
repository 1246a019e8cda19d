// A preview: a document of its own that a page of ours shows in a frame. It has neither script nor form, no request leaves it but for
// pictures of the hosts that the settings name, and only pages of this site may frame it.
import type { Route } from './access.ts';
import { type Html, html, nothing } from './html.ts';
import type { Asked, Audited, View } from './page.ts';

/** The content of a preview. */
export type Previewed = {
  readonly title: string;
  readonly content: Html;
  /** Hosts of pictures, as the settings write them. */
  readonly images: readonly string[];
  /** A value of the form was refused, and is not in it. */
  readonly isRefused: boolean;
};

/** A GET shows what is stored; a POST what a form of the page would store, and stores nothing. */
export type Preview = {
  readonly kind: 'preview';
  readonly route: Route;
  readonly audit: string;
  /** Undefined for a 404. */
  show(asked: Asked): Promise<{ readonly shown: Previewed; readonly audited: Omit<Audited, 'act'> } | undefined>;
};

/** Returns the policy of a preview with pictures of these hosts. */
export function previewPolicy(images: readonly string[]): string {
  const hosts = images.map((host) => ` https://${host}`);
  return [
    'sandbox',
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    `img-src data:${hosts.join('')}`,
    "frame-ancestors 'self'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

/** A preview of a form: what shows it, and the link that leads there where it stands below the fields. */
export type PreviewPanel = { readonly details: Html; readonly link: Html };

/**
 * Returns the part of a form that shows a preview in a frame. `shown`: the address of the stored state, `path`: the route that
 * takes the form. Without `lead` the form is not taken.
 */
export function previewPanelOf(
  view: View<unknown>,
  panel: { title: string; show: string; lead: string | undefined; shown: string; path: string; more?: string },
): PreviewPanel {
  const { title, show, lead, shown, path, more } = panel;
  const form =
    lead === undefined
      ? nothing
      : html`<p class="under">${lead}</p>
<div class="acts"><button formaction="${view.href(path)}" formtarget="preview" formnovalidate>${show}</button></div>`;
  return {
    details: html`<details class="${more === undefined ? '' : `${more} `}preview" id="preview-panel"><summary>${title}</summary>
<p class="named">${title}</p>${form}
<iframe name="preview" title="${title}" src="${shown}" sandbox loading="lazy"></iframe></details>`,
    link: html`<p class="to-preview"><a href="#preview-panel">${title}</a></p>`,
  };
}

/**
 * Returns the fields of a form and its preview. The fields come first, for the keyboard too: on a phone the preview is closed
 * below them, on a wide window it is beside them and always open.
 */
export function besidePreview(fields: Html, panel: PreviewPanel | undefined): Html {
  return html`${panel?.link ?? nothing}<div>${fields}</div>${panel?.details ?? nothing}`;
}

// A link would open a window, which the sandbox refuses: the frame stays where it is.
// Mail is read on white. The names of classes are those of no item.
const style = `
:root { color-scheme: light; }
body { margin: 0; padding: 16px; background: #fff; color: #1b1f24; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: anywhere; }
.preview-name { margin: 24px 0 8px; font-size: 13px; font-weight: 600; color: #57606a; }
.preview-name:first-child { margin-top: 0; }
.preview-text { margin: 0; padding: 12px; background: #f5f6f8; border-radius: 6px; font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace;
  white-space: pre-wrap; }
.preview-wrong { margin: 0 0 16px; padding: 8px 16px; border-left: 4px solid #b3261e; background: #fdf1f0; }
`;

/** Returns the whole document. */
export function previewDocument(language: string, { title, content }: Pick<Previewed, 'title' | 'content'>): string {
  return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>${title}</title>
<base target="_blank">
<style>${{ html: style }}</style>
</head>
<body>
<main>${content}</main>
</body>
</html>
`.html;
}
