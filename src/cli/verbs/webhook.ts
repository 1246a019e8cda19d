// `webhook`: addresses that are sent the change feed.
import { type Command, Option } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { changeKinds } from '../../rules/change-kinds.ts';
import { isKindGlob, kindsFilter, type Told } from '../../rules/webhooks.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { addWebhook } from '../../store/webhooks/webhooks.ts';
import { problemOfUrl } from '../../webhooks/addresses.ts';
import { shownSecret } from '../../webhooks/signature.ts';
import { audited } from '../audited.ts';
import { type Run, runVerb, type VerbOptions, verb, verbGroup } from '../command.ts';
import { webhookActs } from './webhook-acts.ts';
import { webhookLists } from './webhook-lists.ts';

type AddOptions = VerbOptions & { tenant?: string; kinds: string[]; values: string; insecureLocal?: true };

export function webhookCommand(): Command {
  const webhook = verbGroup(
    'webhook',
    'Addresses that the worker sends the change feed to: each change at least once and in order, signed by Standard Webhooks (docs/webhooks.md).',
    ['webhook add https://app.example.com/hooks/directory --tenant Contoso', 'webhook test 8a1c5f9e', 'webhook list'],
  );
  webhook.addCommand(
    verb(
      'add',
      'Add an address, and print its secret once. It is sent what changes from now on.',
      [
        'webhook add https://app.example.com/hooks/directory',
        'webhook add https://app.example.com/hooks/directory --tenant Contoso --kinds "account.*" assigned.changed',
        'webhook add http://127.0.0.1:8080/hook --insecure-local --values all',
      ],
      { acts: true },
    )
      .argument('<url>', 'https address, without user name and password')
      .option('--tenant <tenant>', 'id, name or reference: the changes of this tenant alone')
      .addOption(
        new Option(
          '--kinds <kinds...>',
          'kinds of changes, with * for any text; account.purged is always sent',
        ).default([], 'all kinds'),
      )
      .option(
        '--values <what>',
        'none: ids alone; names: the changed fields too; all: their values and the actor',
        'names',
      )
      .option('--insecure-local', 'an address on this machine, also without TLS: for trying it')
      .action((url: string, options: AddOptions) => runVerb(options, (run) => add(run, url, options))),
  );
  for (const one of [...webhookLists('webhook'), ...webhookActs('webhook')]) webhook.addCommand(one);
  return webhook;
}

async function add(run: Run, url: string, options: AddOptions): Promise<undefined> {
  const { terminal, actor } = run;
  const insecureLocal = options.insecureLocal === true;
  const problem = problemOfUrl(url, insecureLocal);
  if (problem !== undefined) {
    throw new ExpectedError('usage', `a webhook cannot have this address: ${problem}`, {
      cure: insecureLocal
        ? 'give one like http://127.0.0.1:8080/hook'
        : 'give one like https://app.example.com/hook; --insecure-local allows this machine',
    });
  }
  const told = ['none', 'names', 'all'].find((one) => one === options.values) as Told | undefined;
  if (told === undefined) {
    throw new ExpectedError('usage', `--values is ${JSON.stringify(options.values.slice(0, 20))}`, {
      cure: 'give none, names or all',
    });
  }
  const kinds = options.kinds.flatMap((one) => one.split(',')).filter((one) => one !== '');
  for (const glob of kinds) {
    if (isKindGlob(glob) && changeKinds.some((kind) => kind !== 'account.purged' && kindsFilter([glob])(kind)))
      continue;
    if (glob === 'account.purged') continue;
    throw new ExpectedError('usage', `no kind of change is called ${JSON.stringify(glob.slice(0, 60))}`, {
      cure: 'docs/contract.md lists the kinds; write one, or "account.*"',
    });
  }
  const { database } = await run.database();
  const tenant = options.tenant === undefined ? undefined : await findTenant(database, options.tenant);
  const tenantId = tenant?.tenant_id ?? null;
  const form = 'changes';
  const { id, secret } = await addWebhook(database, { tenantId, url, kinds, told, insecureLocal, form, actor });
  await audited(run, database, { act: 'webhook.added', tenantId, detail: { webhook_id: id, host: new URL(url).host } });
  terminal.answer({ webhook_id: id, tenant_id: tenantId, url, kinds, values: told, secret: shownSecret(secret) });
  terminal.say(`Webhook ${id} is added${tenant ? ` for ${tenant.name}` : ' for all tenants'}.`);
  terminal.say(`Secret:  ${shownSecret(secret)}`);
  terminal.say('The secret is not shown again. The receiver checks signatures with it.');
  terminal.say(`-> entra-sync webhook test ${id}`);
}
