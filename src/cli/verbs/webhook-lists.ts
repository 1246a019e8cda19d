// The lists of webhooks, and of addresses that are told of troubles: `webhook list|log`, `notify list|log`.
import type { Command } from 'commander';
import { findTenant } from '../../store/tenants/tenants.ts';
import { type ListedWebhook, listAttempts, listWebhooks, type WebhookAttempt } from '../../store/webhooks/webhooks.ts';
import { describeWebhook } from '../../words/webhooks.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, cut, when } from '../format.ts';
import { table } from '../layout.ts';
import { isOf, pickWebhook, type WebhookNoun } from '../webhooks.ts';
import { wholeNumber } from '../whole-number.ts';

type LogOptions = VerbOptions & { limit: number };

/** Returns the verbs. */
export function webhookLists(noun: WebhookNoun): Command[] {
  const things = noun === 'webhook' ? 'webhooks' : 'addresses that are told of troubles';
  const example = noun === 'webhook' ? 'https://app.example.com/hooks/directory' : 'mailto:ops@example.com';
  return [
    verb('list', `Show the ${things} and how they stand.`, [`${noun} list`, `${noun} list --json`])
      .option('--tenant <tenant>', 'id, name or reference: those that get this tenant')
      .action((options: VerbOptions & { tenant?: string }) =>
        runVerb(options, (run) => list(run, noun, options.tenant)),
      ),
    verb('log', 'Show what an address was sent and answered in the last 30 days, newest first. Bodies are not kept.', [
      `${noun} log 8a1c5f9e`,
      `${noun} log ${example} --limit 500 --json`,
    ])
      .argument('<address>', 'its id or the beginning of it, or the address')
      .option('--limit <n>', 'the number of lines', wholeNumber, 50)
      .action((word: string, options: LogOptions) => runVerb(options, (run) => log(run, noun, word, options.limit))),
  ];
}

async function list(run: Run, noun: WebhookNoun, word: string | undefined): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenant = word === undefined ? undefined : await findTenant(database, word);
  const webhooks = (await listWebhooks(database, tenant?.tenant_id ?? null)).filter(isOf(noun));
  terminal.answer({ webhooks });
  if (webhooks.length === 0) {
    terminal.say(
      noun === 'webhook'
        ? 'There is no webhook -> entra-sync webhook add URL'
        : 'No address is told of troubles -> entra-sync notify add mailto:ops@example.com',
    );
    return;
  }
  terminal.say(
    table(
      [
        { title: noun === 'webhook' ? 'webhook' : 'id', whole: true },
        ...['tenant', 'address', ...(noun === 'webhook' ? ['kinds', 'values'] : ['form']), 'state'].map((title) => ({
          title,
        })),
      ],
      webhooks.map((one) => cellsOf(noun, one)),
    ),
  );
  if (webhooks.some((one) => !one.is_told))
    terminal.say(
      '\nContacts are told with notify: { customer: true } -> entra-sync tenant set TENANT FILE, or entra-sync settings apply FILE for all',
    );
  for (const one of webhooks.filter(({ state }) => state === 'paused'))
    terminal.say(`\n-> entra-sync ${noun} test ${one.webhook_id}, then entra-sync ${noun} resume ${one.webhook_id}`);
}

const cellsOf = (noun: WebhookNoun, one: ListedWebhook) => [
  ...[one.webhook_id, one.tenant_name ?? 'all', cut(one.url)],
  ...(noun === 'webhook' ? [one.kinds.length === 0 ? 'all' : one.kinds.join(', '), one.told] : [one.form]),
  describeWebhook(one),
];

async function log(run: Run, noun: WebhookNoun, word: string, limit: number): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const webhook = await pickWebhook(database, noun, word);
  // One more than is shown tells whether there is more.
  const found = await listAttempts(database, webhook.webhook_id, limit + 1);
  const shown = found.slice(0, limit);
  terminal.answer({ webhook, attempts: shown });
  terminal.say(`${webhook.url}: ${describeWebhook(webhook)}`);
  if (shown.length === 0) {
    terminal.say('Nothing was sent in the last 30 days.');
    return;
  }
  terminal.say('');
  terminal.say(
    table(
      [
        { title: 'at' },
        { title: 'message', whole: true },
        { title: 'changes', right: true },
        { title: 'status' },
        { title: 'ms', right: true },
        { title: 'answer' },
      ],
      shown.map(attemptCells),
    ),
  );
  if (found.length > shown.length) terminal.say(`\nThere is more -> --limit ${limit * 10}`);
}

const attemptCells = (one: WebhookAttempt) => [
  ...[when(one.at), one.message_id, count(one.changes), String(one.status ?? 'none'), count(one.ms)],
  cut(one.problem ?? one.answer ?? ''),
];
