// Acts on one webhook, or one address that is told of troubles: test, replay, pause, resume, rotate, remove.
import type { Command } from 'commander';
import { ExpectedError, exitCodes } from '../../errors.ts';
import type { Database } from '../../store/database/pool.ts';
import {
  bothSecretsMs,
  type ListedWebhook,
  pauseWebhook,
  removeWebhook,
  replayWebhook,
  resumeWebhook,
  rotateSecret,
} from '../../store/webhooks/webhooks.ts';
import { shownSecret } from '../../webhooks/signature.ts';
import { describeWebhook } from '../../words/webhooks.ts';
import { audited } from '../audited.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { cut } from '../format.ts';
import { sendTest } from '../test-message.ts';
import { parseTime, timeHelp, toSecond } from '../times.ts';
import { nounOf, pickWebhook, type WebhookNoun } from '../webhooks.ts';

type Act = (
  run: Run,
  database: Database,
  webhook: ListedWebhook,
  options: VerbOptions & { from?: string },
) => Promise<number | undefined>;

const named = 'its id or the beginning of it, or its address';

/** Returns the verbs. An address of notices has no feed to replay; its secret signs its JSON alone. */
export function webhookActs(noun: WebhookNoun): Command[] {
  const act = (name: string, what: string, more: string, work: Act, acts = true) =>
    verb(name, what, [`${noun} ${name} 8a1c5f9e${more}`], { acts })
      .argument('<address>', named)
      .action((word: string, options: VerbOptions & { from?: string }) =>
        runVerb(options, async (run) => {
          const { database } = await run.database();
          return work(run, database, await pickWebhook(database, noun, word), options);
        }),
      );
  const replaying = act('replay', 'Send again what was committed at a time or later.', ' --from 3h', replay);
  const rotating = act(
    'rotate',
    'Make a new secret, and print it once. The one before signs too for 24 hours.',
    '',
    rotate,
  );
  return [
    act('test', 'Send a message now that tells nothing, and show the answer.', '', test, false),
    ...(noun === 'webhook' ? [replaying.requiredOption('--from <time>', timeHelp, parseTime), rotating] : []),
    act('pause', 'Send nothing until it is resumed. Nothing is lost.', '', pause),
    act('resume', 'Go on where it stood, at once.', '', resume),
    act('remove', 'Take it away, with its log.', '', remove),
  ];
}

async function test(run: Run, database: Database, webhook: ListedWebhook): Promise<number> {
  const { terminal, signal } = run;
  const answer = await sendTest(database, webhook, { variables: run.environment.variables, signal });
  const isTaken = answer.status !== null && answer.status >= 200 && answer.status < 300;
  terminal.answer({ webhook_id: webhook.webhook_id, taken: isTaken, ...answer });
  const said =
    answer.status === null ? answer.problem : `${answer.status}${answer.problem ? `, ${answer.problem}` : ''}`;
  terminal.say(
    `${webhook.url} ${isTaken ? 'took the message' : 'did not take the message'}: ${said} (${answer.ms} ms)`,
  );
  if (answer.answer) terminal.say(`Answer: ${cut(answer.answer)}`);
  if (webhook.state === 'paused')
    terminal.say(`It is ${describeWebhook(webhook)} -> entra-sync ${nounOf(webhook)} resume ${webhook.webhook_id}`);
  return isTaken ? 0 : exitCodes.graph_unavailable;
}

const told = (
  run: Run,
  database: Database,
  act: string,
  { webhook_id: id, tenant_id: tenantId, form }: ListedWebhook,
  detail = {},
) => audited(run, database, { act: `${nounOf({ form })}.${act}`, tenantId, detail: { webhook_id: id, ...detail } });

async function replay(
  run: Run,
  database: Database,
  webhook: ListedWebhook,
  { from = '' }: { from?: string },
): Promise<undefined> {
  const outcome = await replayWebhook(database, webhook.webhook_id, from);
  if (outcome !== 'replayed') {
    const oldest = toSecond(outcome.tooOld.toISOString());
    throw new ExpectedError('usage', `the feed has no changes of before ${oldest}`, {
      cure: `give --from ${oldest}, or let the receiver read the views`,
    });
  }
  await told(run, database, 'replayed', webhook, { from });
  run.terminal.answer({ webhook_id: webhook.webhook_id, from });
  run.terminal.say(`What was committed since ${toSecond(from)} is sent to ${webhook.url} again.`);
}

async function pause(run: Run, database: Database, webhook: ListedWebhook): Promise<undefined> {
  const changed = await pauseWebhook(database, webhook.webhook_id);
  if (changed) await told(run, database, 'paused', webhook);
  run.terminal.answer({ webhook_id: webhook.webhook_id, changed });
  run.terminal.say(changed ? `${webhook.url} is paused.` : `${webhook.url} was paused already: 0 changes.`);
}

async function resume(run: Run, database: Database, webhook: ListedWebhook): Promise<undefined> {
  const changed = await resumeWebhook(database, webhook.webhook_id);
  if (changed) await told(run, database, 'resumed', webhook);
  run.terminal.answer({ webhook_id: webhook.webhook_id, changed });
  run.terminal.say(changed ? `${webhook.url} goes on where it stood.` : `${webhook.url} was not paused: 0 changes.`);
}

async function rotate(run: Run, database: Database, webhook: ListedWebhook): Promise<undefined> {
  const secret = shownSecret(await rotateSecret(database, webhook.webhook_id));
  await told(run, database, 'rotated', webhook);
  const until = new Date(Date.now() + bothSecretsMs).toISOString();
  run.terminal.answer({ webhook_id: webhook.webhook_id, secret, old_secret_until: until });
  run.terminal.say(`Secret:  ${secret}`);
  run.terminal.say(`The secret is not shown again. The one before signs too until ${toSecond(until)}.`);
}

async function remove(run: Run, database: Database, webhook: ListedWebhook): Promise<undefined> {
  await removeWebhook(database, webhook.webhook_id);
  await told(run, database, 'removed', webhook);
  run.terminal.answer({ webhook_id: webhook.webhook_id, removed: true });
  run.terminal.say(`${webhook.url} is taken away.`);
}
