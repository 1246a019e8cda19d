// `notify`: addresses that are told of troubles, and of nothing else.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { type NoticeForm, noticeForms } from '../../rules/webhooks.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { addWebhook } from '../../store/webhooks/webhooks.ts';
import { problemOfUrl } from '../../webhooks/addresses.ts';
import { shownSecret } from '../../webhooks/signature.ts';
import { audited } from '../audited.ts';
import { type Run, runVerb, type VerbOptions, verb, verbGroup } from '../command.ts';
import { sendingOf } from '../sending.ts';
import { webhookActs } from './webhook-acts.ts';
import { webhookLists } from './webhook-lists.ts';

type AddOptions = VerbOptions & { tenant?: string; form?: string; insecureLocal?: true };

export function notifyCommand(): Command {
  const notify = verbGroup(
    'notify',
    'Addresses that the worker tells of troubles: cycles that fail, removals that wait, very many profiles changed, a consent that waits, a certificate that ends. Once when one begins, daily while it lasts, once when it ends (docs/webhooks.md).',
    ['notify add mailto:ops@example.com', 'notify test mailto:ops@example.com', 'notify list'],
  );
  notify.addCommand(
    verb(
      'add',
      'Add an address of mail, chat or a program.',
      [
        'notify add mailto:ops@example.com',
        'notify add https://hooks.slack.com/services/T0/B0/x --form slack',
        'notify add https://example.webhook.office.com/x --form teams --tenant Contoso',
        'notify add https://app.example.com/troubles',
      ],
      { acts: true },
    )
      .argument('<address>', 'mailto: or https address')
      .option('--form <form>', 'json (signed as webhooks are), slack or teams; mailto: is mail')
      .option('--tenant <tenant>', 'id, name or reference: the troubles of this tenant alone')
      .option('--insecure-local', 'an address on this machine, also without TLS: for trying it')
      .action((address: string, options: AddOptions) => runVerb(options, (run) => add(run, address, options))),
  );
  for (const one of [...webhookLists('notify'), ...webhookActs('notify')]) notify.addCommand(one);
  return notify;
}

async function add(run: Run, address: string, options: AddOptions): Promise<undefined> {
  const { terminal, actor } = run;
  const insecureLocal = options.insecureLocal === true;
  const form = formOf(address, options.form);
  const problem = form === 'mail' ? problemOfMail(address) : problemOfUrl(address, insecureLocal);
  if (problem !== undefined) {
    throw new ExpectedError('usage', `notices cannot go to this address: ${problem}`, {
      cure: 'give one like mailto:ops@example.com or https://hooks.example.com/x',
    });
  }
  const { database } = await run.database();
  const tenant = options.tenant === undefined ? undefined : await findTenant(database, options.tenant);
  const tenantId = tenant?.tenant_id ?? null;
  const given = { tenantId, url: address, kinds: [], told: 'names', insecureLocal, form, actor } as const;
  const { id, secret } = await addWebhook(database, given);
  await audited(run, database, { act: 'notify.added', tenantId, detail: { webhook_id: id, form } });
  const shown = form === 'json' ? shownSecret(secret) : undefined;
  terminal.answer({ webhook_id: id, tenant_id: tenantId, url: address, form, ...(shown && { secret: shown }) });
  terminal.say(`${address} is told of the troubles of ${tenant?.name ?? 'all tenants'} (${id}).`);
  if (shown) terminal.say(`Secret:  ${shown}\nThe secret is not shown again. The receiver checks signatures with it.`);
  if (form === 'mail' && sendingOf(run.environment.variables).mail === undefined)
    terminal.say('The worker needs SMTP_URL and ENTRA_SYNC_MAIL_FROM to send mail; they are not set here.');
  terminal.say(`-> entra-sync notify test ${id}`);
}

function formOf(address: string, given: string | undefined): NoticeForm {
  const isMail = /^mailto:/i.test(address);
  const form = noticeForms.find((one) => one === (given ?? (isMail ? 'mail' : 'json')));
  if (form !== undefined && (form === 'mail') === isMail) return form;
  throw new ExpectedError('usage', `--form cannot be ${JSON.stringify((given ?? '').slice(0, 20))} for this address`, {
    cure: 'give json, slack or teams with an https address, none with mailto:',
  });
}

function problemOfMail(address: string): string | undefined {
  if (address.length > 320) return 'it has more than 320 characters';
  // One address, without headers such as ?bcc=, and nothing that could begin another header line.
  return /^mailto:[^\s<>@?,;%]+@[^\s<>@?,;%]+$/i.test(address) ? undefined : 'it is not one address of mail';
}
