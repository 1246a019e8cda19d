// `items show`: an item's template with the values of one account, as html or as plain text.

import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import { profileOf } from '../../store/accounts/accounts.ts';
import { findItem } from '../../store/accounts/assignment-lists.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { type FieldValues, fieldsOf, plainText, renderHtml } from '../../words/template.ts';
import { anyName, pickAccount } from '../accounts.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';

type Shown = VerbOptions & { for: string; tenant?: string; text?: true };

export function itemShowCommand(): Command {
  return verb(
    'show',
    'Show the html of an item for one account, as the preview of the web does: each {{field}} with its value.',
    ['items show banner spring --for ann@contoso.com', 'items show banner spring --for ann@contoso.com --text'],
  )
    .argument('<slot>', 'its name, as slots list shows it')
    .argument('<item>', 'its id, as items list shows it')
    .requiredOption('--for <account>', anyName)
    .option('--tenant <tenant>', 'id, name or reference of the tenant to look in; without it all tenants')
    .option('--text', 'as plain text')
    .action((slot: string, item: string, options: Shown) => runVerb(options, (run) => show(run, slot, item, options)));
}

async function show(run: Run, slot: string, name: string, options: Shown): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenantId = options.tenant === undefined ? null : (await findTenant(database, options.tenant)).tenant_id;
  const picked = await pickAccount(terminal, database, tenantId, options.for);
  if (!picked) {
    throw new ExpectedError('unknown_name', `there is no account ${options.for}`, {
      cure: `entra-sync find ${commandWord(options.for)} shows the nearest`,
    });
  }
  const { account } = picked;
  const item = await findItem(database, account.tenant_id, slot, name);
  if (!item) {
    throw new ExpectedError('unknown_name', `tenant ${account.tenant_name} has no item ${name} of slot ${slot}`, {
      cure: `entra-sync items list ${commandWord(account.tenant_name)}`,
    });
  }
  if (item.html === null) {
    throw new ExpectedError('unknown_name', `item ${name} of ${slot} has no html`, {
      cure: `entra-sync items put ${commandWord(slot)} ${commandWord(name)} --html FILE (--tenant TENANT or --all-tenants)`,
    });
  }
  const values = await profileOf(database, account.account_id);
  const html = renderHtml(item.html, values as FieldValues);
  if (html === undefined) {
    throw new ExpectedError(
      'usage',
      `the html of ${name} nests more than 200 elements, or has more than 1,000,000 characters with its values`,
      {
        cure: 'simplify it',
      },
    );
  }
  const text = plainText(html);
  const unknown = fieldsOf(item.html).filter((field) => !Object.hasOwn(values, field));
  terminal.answer({ account_id: account.account_id, slot, item: name, html, text, unknown_fields: unknown });
  // A value may contain escape codes.
  terminal.print((options.text ? text : html).replaceAll(/[^\P{Cc}\n\t]/gu, ' '));
  if (unknown.length > 0) terminal.note(`The settings of ${account.tenant_name} have no field ${unknown.join(', ')}.`);
}
