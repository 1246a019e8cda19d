// `edit --revert FIELD` of many: of a group, or of everyone in a tenant.

import { ExpectedError } from '../../errors.ts';
import { roles } from '../../rules/ownership.ts';
import { commandWord } from '../../rules/shell.ts';
import { accountsWithEdit, hasField, type ManyReverted, revertMany } from '../../store/accounts/revert-many.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import type { Run } from '../command.ts';
import { count, plural, showValue } from '../format.ts';
import { pickGroup } from '../groups.ts';
import { table } from '../layout.ts';

export type ManyOptions = {
  /** A role, or an account that edits. */
  readonly as: string;
  readonly tenant?: string;
  readonly group?: string;
  readonly everyone?: boolean;
  readonly dryRun?: boolean;
};

const shownByName = 50;
const quietMs = 5_000;

/** Reverts one field of a group's accounts, or of everyone's in the tenant. */
export async function revertOfMany(run: Run, fields: readonly string[], options: ManyOptions): Promise<undefined> {
  const { terminal, actor } = run;
  const [field] = fields;
  if (field === undefined || fields.length > 1) {
    throw new ExpectedError('usage', 'of many accounts one field is reverted at a time', {
      cure: 'entra-sync edit --revert FIELD --everyone --tenant TENANT',
    });
  }
  if (options.group !== undefined && options.everyone) {
    throw new ExpectedError('usage', '--group and --everyone exclude each other', { cure: 'give one of them' });
  }
  if (options.tenant === undefined) {
    throw new ExpectedError('usage', '--group and --everyone need a tenant', { cure: 'give it with --tenant TENANT' });
  }
  if (!roles.some((role) => role === options.as)) {
    throw new ExpectedError('usage', 'of many accounts a role reverts a field, and no account does', {
      cure: `give --as ${roles.join(' or ')}`,
    });
  }
  const { database } = await run.database();
  const tenant = await findTenant(database, options.tenant);
  const tenantId = tenant.tenant_id;
  const group = options.group === undefined ? null : await pickGroup(run.terminal, database, tenantId, options.group);
  const accounts = await accountsWithEdit(database, { tenantId, field, groupId: group?.group_id ?? null });
  if (accounts.length === 0 && !(await hasField(database, tenantId, field))) {
    throw new ExpectedError('usage', `there is no field ${JSON.stringify(field)} (ES002)`, {
      cure: `entra-sync settings show ${commandWord(tenant.name)} lists the fields`,
    });
  }
  const dryRun = options.dryRun === true;
  let told = performance.now();
  let stored = 0;
  const done = await revertMany(
    database,
    { tenantId, field, accounts },
    { actor, role: options.as },
    {
      dryRun,
      onBatch: (number) => {
        stored = number;
        run.signal.throwIfAborted();
        if (performance.now() - told < quietMs) return;
        told = performance.now();
        terminal.note(`${count(number)} of ${plural(accounts.length, 'account')}`);
      },
    },
  ).catch((error: unknown) => {
    // Each batch is stored by itself.
    if (stored > 0 && !dryRun)
      terminal.note(
        `${count(stored)} of ${plural(accounts.length, 'account')} are done and stay so; the same command does the rest`,
      );
    throw error;
  });
  const { tenant_id, name } = tenant;
  terminal.answer({ tenant: { tenant_id, name }, group: group?.group_id ?? null, field, dry_run: dryRun, ...done });
  sayReverted(run, `${name}${group ? `, ${group.display_name ?? group.group_id}` : ''}`, field, done, dryRun);
}

const reasons: Readonly<Record<string, string>> = {
  ES001: 'the directory owns the field (ES001)',
  ES003: 'the role may not edit the field (ES003)',
  ES004: 'removed meanwhile (ES004)',
  ES008: 'another live account has the value (ES008)',
};

function sayReverted(
  { terminal }: Run,
  where: string,
  field: string,
  { reverted, refused }: ManyReverted,
  dryRun: boolean,
): void {
  const would = dryRun ? 'would be reverted' : 'reverted';
  terminal.say(
    reverted.length + refused.length === 0
      ? `${where}: no account holds a person's value of ${field}.`
      : `${where}: ${field} of ${plural(reverted.length, 'account')} ${would} to the directory's value.`,
  );
  if (reverted.length > 0) {
    terminal.say(
      table(
        [{ title: 'account', long: true }, { title: 'before' }, { title: '' }, { title: 'after' }],
        reverted
          .slice(0, shownByName)
          .map((one) => [one.name ?? one.account_id, showValue(one.before), '->', showValue(one.after)]),
      ),
    );
    if (reverted.length > shownByName)
      terminal.say(`… and ${count(reverted.length - shownByName)} more (--json shows them)`);
  }
  if (refused.length === 0) return;
  terminal.say(`\n${count(refused.length)} left as they are:`);
  terminal.say(
    table(
      [{ title: '', long: true }],
      refused.slice(0, shownByName).map((one) => [one.name ?? one.account_id, reasons[one.refused] ?? one.refused]),
    ),
  );
}
