// `find`: accounts and groups by parts of a name.
import type { Command } from 'commander';
import { openBasics } from '../../app.ts';
import { ExpectedError } from '../../errors.ts';
import { findByWords } from '../../store/accounts/find.ts';
import { countNewWords } from '../../store/accounts/words.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { foundTable, mostFound, wayToMore } from '../found.ts';
import { leftOutRemark, whyNotCopied } from '../left-out.ts';
import { wholeNumber } from '../whole-number.ts';

type FindOptions = VerbOptions & { tenant?: string; limit: number };

export function findCommand(): Command {
  return verb(
    'find',
    'Find accounts and groups by parts of a name, an address or an id, without case and accents; the nearest where nothing fits. Removed ones too, and by object id users who are set aside or outside the scope and groups that are set aside or not copied. Reads only the database.',
    ['find ann berg', 'find bergström --tenant Contoso', 'find ann.b@con', 'find 0c1e4b9a --json'],
  )
    .argument('<words...>', 'beginnings or parts of words; the beginning of an id')
    .option('--tenant <tenant>', 'id, name or reference of the tenant to look in; without it all tenants')
    .option('--limit <n>', 'the number of lines, at most 1,000', wholeNumber, 20)
    .action((words: string[], options: FindOptions) => runVerb(options, (run) => find(run, words.join(' '), options)));
}

async function find(run: Run, words: string, options: FindOptions): Promise<undefined> {
  const { terminal } = run;
  const limit = Math.min(options.limit, mostFound);
  const { database } = await run.database();
  const tenant = options.tenant === undefined ? undefined : await findTenant(database, options.tenant);
  const found = await findByWords(database, tenant?.tenant_id ?? null, words, limit + 1);
  const shown = found.slice(0, limit);
  const unsorted = await countNewWords(database, tenant?.tenant_id ?? null);
  if (shown.length === 0) {
    const left = tenant
      ? await leftOutRemark(database, openBasics(run.environment).defaults, tenant.tenant_id, words)
      : '';
    throw new ExpectedError('unknown_name', `nothing is called ${words}${tenant ? ` in ${tenant.name}` : ''}${left}`, {
      cure:
        unsorted > 0
          ? `find again in a minute: ${unsorted} new accounts are not found by their words yet`
          : 'write fewer or other words; users without an account, and groups that are set aside or not copied, are found by object id alone',
    });
  }
  const isNear = shown.every((one) => one.fit === 'near');
  terminal.answer({ found: shown, near: isNear, more: found.length > limit });
  if (isNear) terminal.say(`Nothing is called ${words}. The nearest:\n`);
  terminal.say(foundTable(shown));
  if (unsorted > 0)
    terminal.say(`\n${unsorted} new accounts are not found by their words yet -> find again in a minute`);
  const { defaults } = openBasics(run.environment);
  for (const { state, tenant_id, tenant_name, entra_object_id: id } of shown)
    if (state === 'not_copied' && id !== null)
      terminal.say(
        `\n${tenant_name}: ${id} is ${await whyNotCopied(database, defaults, { tenant_id, entra_object_id: id })}`,
      );
  if (found.length > limit) terminal.say(`\nThere is more -> ${wayToMore(limit)}`);
}
