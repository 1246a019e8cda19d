// The acts on one webhook: those of `entra-sync webhook` and `entra-sync notify`, by the same functions.
import { z } from 'zod';
import { ExpectedError } from '../../errors.ts';
import { asGuid } from '../../rules/decode.ts';
import { count } from '../../rules/numbers.ts';
import type { Database } from '../../store/database/pool.ts';
import { listWebhooks, pauseWebhook, replayWebhook, resumeWebhook } from '../../store/webhooks/webhooks.ts';
import { type Html, html, nothing } from '../html.ts';
import { type Action, action, type Done, type TestAnswer } from '../page.ts';
import { day } from '../query.ts';
import { webhookPage, webhooksPage } from './webhooks.ts';

type Act = (database: Database, id: string, from: string) => Promise<Done | undefined>;

const time = z
  .string()
  .regex(/^(19[7-9]\d|[2-8]\d{3})-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/, 'Write a day and a time.')
  .transform((text) => `${text}Z`)
  .refine(
    (text) => !Number.isNaN(Date.parse(text)) && day.safeParse(text.slice(0, 10)).success,
    'Write a day and a time that the calendar has.',
  );

async function webhookOf(database: Database, params: Readonly<Record<string, string>>) {
  const id = asGuid(params.webhook ?? '');
  return (await listWebhooks(database)).find((one) => one.webhook_id === id);
}

function act(name: 'pause' | 'resume' | 'replay', audit: string, run: Act): Action {
  return action({
    route: `POST /console/webhooks/:webhook/${name}`,
    form: { from: name === 'replay' ? time : z.string().max(0).default('') },
    audit,
    act: async (database, { params, query }) => {
      const webhook = await webhookOf(database, params);
      if (!webhook || (name === 'replay' && webhook.form !== 'changes')) return undefined;
      const done = await run(database, webhook.webhook_id, query.from);
      const { webhook_id: told, tenant_id: tenantId } = webhook;
      return done && 'to' in done ? { ...done, audited: { tenantId, detail: { webhook_id: told } } } : done;
    },
    again: webhookPage,
  });
}

const testWebhook: Action = action({
  route: 'POST /console/webhooks/:webhook/test',
  form: {},
  audit: 'webhook.tested',
  act: async (database, { params, sendTest }) => {
    const webhook = await webhookOf(database, params);
    if (!webhook || !sendTest) return undefined;
    const { webhook_id: id, tenant_id: tenantId } = webhook;
    try {
      const answer = await sendTest(database, webhook);
      const detail = { webhook_id: id, status: answer.status, taken: isTaken(answer) };
      return { told: toldTest(answer), audited: { tenantId, detail } };
    } catch (error) {
      if (!(error instanceof ExpectedError)) throw error;
      return { problems: [{ message: `${error.message}.${error.cure === undefined ? '' : ` ${error.cure}.`}` }] };
    }
  },
  again: webhookPage,
});

const isTaken = ({ status }: TestAnswer) => status !== null && status >= 200 && status < 300;

/** Returns the outcome of a test message: its status, its time, and the first characters of the answer. */
function toldTest(answer: TestAnswer): Html {
  const { status, problem, answer: text, ms } = answer;
  const taken = isTaken(answer);
  return html`<div class="panel need${taken ? ' good' : ' bad'}" id="tested" tabindex="-1" autofocus role="status">
<p>${taken ? 'The address took the message' : 'The address did not take the message'}: ${status === null ? 'no answer' : `status ${status}`}, ${count(ms)} ms.${problem === null ? '' : ` ${problem}.`}</p>
${text ? html`<p>It answered: <code>${text}</code></p>` : nothing}</div>`;
}

const toWebhook = (id: string): Done => ({ to: `/console/webhooks/${id}` });

/** The pages of webhooks and what may be done there. */
export const webhookPages = [
  webhooksPage,
  webhookPage,
  testWebhook,
  act('pause', 'webhook.paused', async (database, id) => {
    await pauseWebhook(database, id);
    return toWebhook(id);
  }),
  act('resume', 'webhook.resumed', async (database, id) => {
    await resumeWebhook(database, id);
    return toWebhook(id);
  }),
  act('replay', 'webhook.replayed', async (database, id, from) => {
    const outcome = await replayWebhook(database, id, from);
    if (outcome === 'replayed') return toWebhook(id);
    const oldest = outcome.tooOld.toISOString().slice(0, 16).replace('T', ' ');
    return { problems: [{ field: 'from', message: `The feed has no changes of before ${oldest} UTC.` }] };
  }),
] as const;
