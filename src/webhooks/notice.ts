// A notice in the form that its receiver reads.
import { type Notice, noticeText } from '../rules/notices.ts';
import type { NoticeForm } from '../rules/webhooks.ts';

type Sent = {
  readonly webhookId: string;
  readonly at: Date;
  readonly notice: Notice;
  /** The public address of the console, without a trailing slash; undefined: notices have no link. */
  readonly publicUrl: string | undefined;
};

/** Returns the JSON of a notice. The forms of chats: docs/webhooks.md names their pages. */
export function noticeBody(
  form: Exclude<NoticeForm, 'mail' | 'contact'>,
  { webhookId, at, notice, publicUrl }: Sent,
): string {
  const { title, sentence, cure, path } = noticeText(notice);
  const url = linkOf(publicUrl, path);
  if (form === 'slack') {
    const link = url === undefined ? '' : `\n<${url}|Open the console>`;
    return JSON.stringify({ text: `${escaped(sentence)}${cure ? `\n\`${escaped(cure)}\`` : ''}${link}` });
  }
  if (form === 'teams') {
    // Runs of text, since Teams reads a TextBlock as Markdown: a name must make no link.
    const block = (text: string, style: object) => ({
      type: 'RichTextBlock',
      inlines: [{ type: 'TextRun', text, ...style }],
    });
    const blocks = [block(sentence, { weight: 'Bolder' }), ...(cure ? [block(cure, { fontType: 'Monospace' })] : [])];
    const actions = url === undefined ? [] : [{ type: 'Action.OpenUrl', title: 'Open the console', url }];
    const content = {
      $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
      ...{ type: 'AdaptiveCard', version: '1.4', body: blocks, actions },
    };
    return JSON.stringify({
      type: 'message',
      attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', content }],
    });
  }
  const {
    trouble_id: troubleId,
    phase,
    kind,
    key,
    tenant_id: tenantId,
    tenant_name: tenantName,
    since,
    detail,
  } = notice;
  return JSON.stringify({
    type: `trouble.${phase}`,
    timestamp: at.toISOString(),
    data: {
      ...{
        webhook_id: webhookId,
        trouble_id: troubleId,
        kind,
        key,
        tenant_id: tenantId,
        tenant_name: tenantName,
        since,
      },
      ...{ detail, title, sentence, cure: cure ?? null, url: url ?? null },
    },
  });
}

/** Returns a notice as a mail. */
export function noticeMail({ notice, publicUrl }: Pick<Sent, 'notice' | 'publicUrl'>): {
  subject: string;
  text: string;
} {
  const { title, sentence, cure, path } = noticeText(notice);
  const url = linkOf(publicUrl, path);
  const lines = [sentence, ...(cure ? [`Command: ${cure}`] : []), ...(url ? [url] : [])];
  return {
    subject: `entra-sync: ${title}`.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 200),
    text: `${lines.join('\n\n')}\n`,
  };
}

const linkOf = (publicUrl: string | undefined, path: string | undefined) =>
  publicUrl === undefined || path === undefined ? undefined : `${publicUrl}${path}`;

/** The three characters that Slack reads as markup: https://docs.slack.dev/messaging/formatting-message-text */
const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
