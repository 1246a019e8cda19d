// `/console/webhooks`: the addresses that are sent changes or told of troubles, how they stand, and what one of them answered.
import { asGuid } from '../../rules/decode.ts';
import { plural } from '../../rules/numbers.ts';
import { type ListedWebhook, listAttempts, listWebhooks, type WebhookAttempt } from '../../store/webhooks/webhooks.ts';
import { describeWebhook } from '../../words/webhooks.ts';
import { ago, type Html, html, nothing, postForm } from '../html.ts';
import { page, type View } from '../page.ts';
import { type Column, csvLink, listTable } from '../table.ts';
import { typedText } from '../typed.ts';
import { byWhom } from './change-words.ts';
import { fieldLine } from './form-parts.ts';

const shownAttempts = 50;

export const webhooksPage = page({
  route: 'GET /console/webhooks',
  query: {},
  load: (read) => listWebhooks(read),
  render: (found, view) => ({
    title: 'Webhooks',
    section: 'webhooks',
    content: html`<h1>Webhooks</h1>
<p class="lead">Addresses that a worker sends the changes of tenants to, or tells of troubles.</p>
${
  found.length === 0
    ? html`<p class="empty">There is none. <code>entra-sync webhook add URL</code> adds an address for changes, <code>entra-sync notify add mailto:…</code> one for troubles.</p>`
    : html`${listTable('Webhooks', columns(view), found)}${csvLink(view, '/console/webhooks.csv')}`
}`,
  }),
});

/** Returns the host of an address, or its mail: the rest of an address of a chat is as good as a password. */
export function shownAddress({ url, form }: ListedWebhook): string {
  return form === 'mail' || form === 'contact' ? url.replace(/^mailto:/i, '') : new URL(url).host;
}

const forms: Readonly<Record<ListedWebhook['form'], string>> = {
  ...{ changes: 'changes', json: 'troubles, as JSON', slack: 'troubles, to Slack' },
  ...{ teams: 'troubles, to Teams', mail: 'troubles, by mail' },
  contact: 'lost consent and held removals, by mail',
};

function stateOf(one: ListedWebhook, now: Date): Html {
  const mark =
    one.state === 'paused' || !one.is_told ? 'off' : one.failures > 0 ? 'bad' : one.behind_since === null ? '' : 'held';
  return html`<span class="state ${mark}">${describeWebhook(one, now)}</span>`;
}

const columns = (view: View<unknown>): readonly Column<ListedWebhook>[] => [
  {
    title: 'Address',
    head: true,
    cell: (one) => html`<a href="${view.href(`/console/webhooks/${one.webhook_id}`)}">${shownAddress(one)}</a>`,
  },
  { title: 'Gets', cell: (one) => forms[one.form] },
  {
    title: 'Of',
    cell: (one) =>
      one.tenant_id === null
        ? 'all tenants'
        : html`<a href="${view.href(`/console/t/${one.tenant_id}`)}">${one.tenant_name ?? one.tenant_id}</a>`,
  },
  { title: 'State', cell: (one) => stateOf(one, view.now) },
  { title: 'Last taken', cell: (one) => (one.taken_at === null ? 'never' : ago(one.taken_at, view.now)) },
];

export const webhookPage = page({
  route: 'GET /console/webhooks/:webhook',
  query: {},
  load: async (read, { params }) => {
    const id = asGuid(params.webhook ?? '');
    const webhook = id === undefined ? undefined : (await listWebhooks(read)).find((one) => one.webhook_id === id);
    return webhook && { webhook, attempts: await listAttempts(read, webhook.webhook_id, shownAttempts) };
  },
  render: ({ webhook, attempts }, view) => ({
    title: shownAddress(webhook),
    section: 'webhooks',
    content: html`<p class="back"><a href="${view.href('/console/webhooks')}">Webhooks</a></p>
<h1>${shownAddress(webhook)}</h1>
<p class="lead">${stateOf(webhook, view.now)}</p>
<dl class="facts"><dt>Gets</dt><dd>${forms[webhook.form]}${webhook.form === 'changes' && webhook.kinds.length > 0 ? `: ${webhook.kinds.join(', ')}` : ''}</dd>
<dt>Of</dt><dd>${webhook.tenant_name ?? 'all tenants'}</dd>
<dt>Made</dt><dd>${ago(webhook.created_at, view.now)} by ${byWhom(view, webhook.created_by)}</dd>
<dt>Id</dt><dd><code>${webhook.webhook_id}</code></dd></dl>
${actsOn(webhook, view)}
${view.form?.shown ?? nothing}
<h2>What was sent</h2>
${
  attempts.length === 0
    ? html`<p class="empty">Nothing was sent in the last 30 days.</p>`
    : listTable(`The last ${plural(attempts.length, 'attempt')}`, attemptColumns(view), attempts)
}`,
  }),
});

const attemptColumns = (view: View<unknown>): readonly Column<WebhookAttempt>[] => [
  { title: 'When', head: true, cell: (one) => ago(one.at, view.now) },
  { title: 'Changes', number: true, cell: (one) => one.changes },
  {
    title: 'Answer',
    cell: (one) =>
      one.status !== null && one.status < 300
        ? html`<span class="state">${one.status}</span>`
        : html`<span class="state bad">${one.status ?? 'none'}</span><small>${one.problem ?? one.answer ?? ''}</small>`,
  },
  { title: 'Took', number: true, cell: (one) => `${one.ms} ms` },
  { title: 'Message', cell: (one) => html`<code>${one.message_id}</code>` },
];

function actsOn(webhook: ListedWebhook, view: View<unknown>): Html {
  if (!view.may('POST /console/webhooks/:webhook/pause')) return nothing;
  const at = `/console/webhooks/${webhook.webhook_id}`;
  const button = (name: string, label: string) => postForm(view, `${at}/${name}`, html`<button>${label}</button>`);
  const stands = webhook.state === 'active' && webhook.failures === 0;
  const test = view.sendTest ? button('test', 'Send a test message') : nothing;
  return html`<div class="acts">${test}${stands ? button('pause', 'Pause') : button('resume', webhook.state === 'paused' ? 'Resume' : 'Try now')}</div>
${
  webhook.form === 'changes'
    ? postForm(
        view,
        `${at}/replay`,
        html`<div class="panel">${fieldLine(
          view.form,
          {
            id: 'from',
            label: 'Send again from',
            under: html`A day and a time, in UTC. What was committed since then is sent again.`,
          },
          (more) =>
            html`<input type="datetime-local" id="from" name="from" autocomplete="off" required value="${typedText(view.form, 'from') ?? ''}"${more}>`,
        )}</div><div class="acts"><button>Send again</button></div>`,
      )
    : nothing
}`;
}
