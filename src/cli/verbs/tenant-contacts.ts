// `tenant contacts`: the people of the customer who are told by mail of lost consent and of removals that wait.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { distinctAddresses, problemOfContacts } from '../../rules/contacts.ts';
import { commandWord } from '../../rules/shell.ts';
import { contactsAreTold, contactsOf, setContacts } from '../../store/tenants/contacts.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { audited } from '../audited.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';

type ContactsOptions = VerbOptions & { add?: string[]; remove?: string[] };

export function tenantContactsCommand(): Command {
  return verb(
    'contacts',
    "Show or change a tenant's contacts: mail addresses of the customer, told of lost consent and of removals that wait (settings: notify.customer).",
    [
      'tenant contacts Contoso',
      'tenant contacts Contoso --add it@contoso.example anna@contoso.example',
      'tenant contacts Contoso --remove it@contoso.example',
    ],
    { acts: true },
  )
    .argument('<tenant>', 'id, name or reference')
    .option('--add <address...>', 'mail addresses to add; at most 10 in all')
    .option('--remove <address...>', 'mail addresses to take away')
    .action((word: string, options: ContactsOptions) => runVerb(options, (run) => contacts(run, word, options)));
}

async function contacts(run: Run, word: string, { add = [], remove = [] }: ContactsOptions): Promise<undefined> {
  const { terminal, actor } = run;
  const { database } = await run.database();
  const { tenant_id: tenantId, name } = await findTenant(database, word);
  const before = await contactsOf(database, tenantId);
  const gone = new Set(remove.map((one) => one.trim().toLowerCase()));
  const unknown = [...gone].find((one) => !before.some((address) => address.toLowerCase() === one));
  if (unknown !== undefined) {
    throw new ExpectedError('unknown_name', `${JSON.stringify(unknown.slice(0, 80))} is no contact of ${name}`, {
      cure: `entra-sync tenant contacts ${commandWord(name)} shows them`,
    });
  }
  const addresses = distinctAddresses([...before, ...add]).filter((one) => !gone.has(one.toLowerCase()));
  const problem = problemOfContacts(addresses);
  if (problem !== undefined)
    throw new ExpectedError('usage', problem, { cure: 'give addresses like it@example.com, at most 10' });
  if (add.length + remove.length > 0) {
    await setContacts(database, { tenantId, addresses, actor });
    await audited(run, database, { act: 'contacts.changed', tenantId, detail: { contacts: addresses.length } });
  }
  const now = await contactsOf(database, tenantId);
  terminal.answer({ tenant_id: tenantId, contacts: now });
  if (now.length === 0)
    terminal.say(`${name} has no contacts -> entra-sync tenant contacts ${commandWord(name)} --add ADDRESS`);
  else {
    terminal.say(`${name} tells ${now.join(', ')}`);
    if (!(await contactsAreTold(database, tenantId)))
      terminal.say('notify.customer is false in the settings, so no contact is told');
  }
}
