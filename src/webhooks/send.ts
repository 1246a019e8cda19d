// One lot to one webhook: body, signature, request; a notice by mail where the address is one.
import type { Notice } from '../rules/notices.ts';
import type { NoticeForm, Told, ToldChange } from '../rules/webhooks.ts';
import { type MailServer, sendMail } from './mail.ts';
import { changesBody, resetBody } from './message.ts';
import { noticeBody, noticeMail } from './notice.ts';
import { type Answer, type PostOptions, post } from './post.ts';
import { signatureHeaders } from './signature.ts';

type Target = {
  readonly webhook_id: string;
  readonly url: string;
  readonly told: Told;
  readonly insecure_local: boolean;
  readonly form: 'changes' | NoticeForm;
};
type Lot = { readonly at: Date; readonly changes: readonly ToldChange[] | 'reset' | { readonly notice: Notice } };

/** The parts that notices need beside: the address of the console for their links, and the server of mails. */
export type NoticeOptions = { readonly publicUrl?: string | undefined; readonly mail?: MailServer | undefined };

export type Signed = Omit<PostOptions, 'insecureLocal'> &
  NoticeOptions & {
    readonly messageId: string;
    readonly secrets: readonly Buffer[];
  };

/** Sends a lot. Throws only when the signal ends it. */
export function sendLot(webhook: Target, { at, changes }: Lot, options: Signed): Promise<Answer> {
  const message = { webhookId: webhook.webhook_id, at };
  if (typeof changes === 'object' && 'notice' in changes)
    return sendNotice(webhook, { ...message, notice: changes.notice, publicUrl: options.publicUrl }, options);
  const body = changes === 'reset' ? resetBody(message) : changesBody(message, webhook.told, changes);
  return sendBody(webhook, body, options);
}

/** Sends a notice in the form of its address. */
export function sendNotice(
  webhook: Target,
  notice: Parameters<typeof noticeBody>[1],
  options: Signed,
): Promise<Answer> {
  const { url, form } = webhook;
  if (form !== 'mail' && form !== 'contact')
    return sendBody(webhook, noticeBody(form === 'changes' ? 'json' : form, notice), options);
  // Not by URL, for which what is behind a # is none of the address.
  const to = url.slice('mailto:'.length);
  return sendMail(options.mail, { to, ...noticeMail(notice), messageId: options.messageId }, options.signal);
}

/** Sends a body, signed as of now. */
export function sendBody(
  { url, insecure_local: insecureLocal }: Pick<Target, 'url' | 'insecure_local'>,
  body: string,
  { messageId, secrets, publicUrl: _url, mail: _mail, ...options }: Signed,
): Promise<Answer> {
  const at = Math.floor(Date.now() / 1_000);
  const headers = signatureHeaders({ id: messageId, at, body }, secrets);
  return post(url, { body, headers }, { ...options, insecureLocal });
}
