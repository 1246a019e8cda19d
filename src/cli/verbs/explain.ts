// `explain`: one account field by field, and how fresh it is; or why there is none.
import type { Command } from 'commander';
import { openBasics } from '../../app.ts';
import { whyOutside } from '../../engine/explain-scope.ts';
import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import { explainAccount } from '../../store/accounts/accounts.ts';
import { type Absence, countUnnamed, type FoundAccount, findAbsences } from '../../store/accounts/explain.ts';
import { groupsOfAccount } from '../../store/accounts/groups-of.ts';
import { accountAt, accountHistory, type FoundGroup, findGroups } from '../../store/accounts/history.ts';
import type { Database } from '../../store/database/pool.ts';
import { readAccountPhoto } from '../../store/photos/state.ts';
import { settingsInForce } from '../../store/settings/versions.ts';
import { findTenant, listTenants, type TenantRow } from '../../store/tenants/tenants.ts';
import { accountTable, anyName, findPurged, type Picked, pickAccount } from '../accounts.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { absenceText, accountLines, fieldTable, freshnessLines, groupLines, thenText } from '../explanation.ts';
import { count, cut, plural, when } from '../format.ts';
import { table } from '../layout.ts';
import { leftOutRemark, whyNotCopied } from '../left-out.ts';
import { parseTime, timeHelp } from '../times.ts';
import { orUnknownTime } from '../unknown-time.ts';
import { historyTable } from './history.ts';
import { syncOneUser } from './sync-user.ts';

type ExplainOptions = VerbOptions & { tenant?: string; at?: string; ask?: boolean };

export function explainCommand(): Command {
  return verb(
    'explain',
    'Show why an account has its values, field by field, and how fresh they are, its last changes and its groups; or why there is no account, or why a group is set aside or not copied. Of a group that is copied it names the command that shows it. Reads only the database, unless --ask is given.',
    [
      'explain ann@contoso.com',
      'explain 0c1e4b9a-7d39-4e0f-9d53-9a54c2a5c9d1 --json',
      'explain ann@contoso.com --tenant Contoso',
      'explain ann@contoso.com --at 2026-11-01',
      'explain bob@contoso.com --ask      # reads Entra ID: the condition of the scope that keeps a user out, with its value',
    ],
  )
    .argument('<account>', `${anyName}; a group by its name or id, one that is set aside or not copied by its id`)
    .option('--tenant <tenant>', 'id, name or reference of the tenant to look in; without it all tenants')
    .option('--at <time>', `show the account as it was: ${timeHelp}`, parseTime)
    .option('--ask', 'read the user from Entra ID, and change nothing')
    .action((word: string, options: ExplainOptions) =>
      runVerb(options, (run) => explain(run, word, options), 'nothing was changed; run the command again'),
    );
}

async function explain(run: Run, word: string, options: ExplainOptions): Promise<undefined> {
  if (options.ask && options.at !== undefined) {
    throw new ExpectedError('usage', '--ask reads the user as it is now, and --at shows a time that is gone', {
      cure: 'give one of the two',
    });
  }
  const { database } = await run.database();
  const tenant = options.tenant === undefined ? undefined : await findTenant(database, options.tenant);
  if (options.ask) return askEntra(run, database, word, tenant);
  const picked = await pickAccount(run.terminal, database, tenant?.tenant_id ?? null, word);
  if (options.at !== undefined) {
    const then = picked?.account ?? (await findPurged(database, tenant?.tenant_id ?? null, word));
    if (then) return explainThen(run, database, { display_name: null, ...then }, options.at);
  }
  if (picked) return explainPicked(run, database, picked);
  const groups = await findGroups(database, tenant?.tenant_id ?? null, word);
  const absences = groups.length > 0 ? [] : await findAbsences(database, tenant?.tenant_id ?? null, word);
  if (options.at !== undefined && groups.length + absences.length > 0)
    run.terminal.note('--at shows accounts, purged ones by their account id. What is known now:');
  if (groups.length > 0) return explainGroups(run, database, groups);
  if (absences.length === 0)
    throw await neverSeen(run, database, word, tenant ? [tenant] : await listTenants(database));
  return explainAbsent(run, database, word, absences);
}

const shownChanges = 5;
const shownGroups = 20;

// As `sync --user` in a dry run, which reads the user and tells what a cycle would make of it.
async function askEntra(run: Run, database: Database, word: string, tenant: TenantRow | undefined): Promise<undefined> {
  const tenants = tenant ? [tenant] : await listTenants(database);
  const [only] = tenants;
  if (!only || tenants.length > 1) {
    throw new ExpectedError('usage', only ? 'several tenants are registered' : 'no tenant is registered', {
      cure: `name the user's: entra-sync explain ${commandWord(word)} --ask --tenant TENANT`,
    });
  }
  await syncOneUser(run, only.tenant_id, { word, dryRun: true });
}

async function explainPicked(run: Run, database: Database, { account, others }: Picked): Promise<undefined> {
  const { terminal } = run;
  const fields = await explainAccount(database, account.account_id);
  const tenant = await findTenant(database, account.tenant_id);
  const setAside = await setAsideOf(database, account);
  const changes = await accountHistory(database, account.account_id, shownChanges);
  const groups = await groupsOfAccount(database, account.account_id);
  const photo = await readAccountPhoto(database, account.account_id);
  const reasons = [account.removed_reason, account.held_reason];
  const outside = reasons.some((reason) => reason === 'out_of_scope' || reason === 'disabled')
    ? await whyOutside(database, openBasics(run.environment).defaults, account)
    : undefined;
  terminal.answer({
    verdict: account.removed_at === null ? 'live' : 'removed',
    account,
    fields,
    set_aside: setAside ?? null,
    outside: outside ?? null,
    photo: photo ?? null,
    tenant,
    changes,
    groups,
    others: others.map((one) => one.account_id),
  });
  terminal.say(
    table([{ title: 'account' }, { title: account.account_id }], accountLines(account, { setAside, outside, photo })),
  );
  terminal.say(`\n${fieldTable(account, fields)}`);
  terminal.say(`\nHow fresh this is\n${linesTable(freshnessLines(tenant))}`);
  if (changes.length > 0) terminal.say(`\nLast changes\n${historyTable(changes)}`);
  if (groups.length > 0) {
    terminal.say(`\nGroups\n${linesTable(groupLines(groups.slice(0, shownGroups)))}`);
    if (groups.length > shownGroups)
      terminal.say(`… and ${count(groups.length - shownGroups)} more (--json shows them)`);
  }
  if (others.length > 0) terminal.say(`\nRemoved accounts of the same name\n${accountTable(others)}`);
}

async function explainThen(
  run: Run,
  database: Database,
  account: Pick<FoundAccount, 'account_id' | 'tenant_id' | 'display_name'>,
  at: string,
): Promise<undefined> {
  const { terminal } = run;
  const { account_id: accountId, tenant_id: tenantId } = account;
  const then = await orUnknownTime(accountAt(database, { tenantId, accountId, at }));
  terminal.answer({ verdict: then ? 'live' : 'absent', at, account: then ?? null });
  terminal.say(thenText(account, then, at));
}

// An account keeps its values while its user is set aside.
async function setAsideOf(
  database: Database,
  account: { tenant_id: string; entra_object_id: string | null },
): Promise<Absence | undefined> {
  if (account.entra_object_id === null) return undefined;
  const absences = await findAbsences(database, account.tenant_id, account.entra_object_id);
  return absences.find((one) => one.why === 'set_aside');
}

async function explainAbsent(
  run: Run,
  database: Database,
  word: string,
  absences: readonly Absence[],
): Promise<undefined> {
  const { terminal } = run;
  const ids = new Set(absences.map((one) => one.tenant_id));
  const tenants = (await listTenants(database)).filter((one) => ids.has(one.tenant_id));
  terminal.answer({ verdict: 'absent', asked: word, absences, tenants });
  terminal.say(`There is no ${absences.some((one) => one.kind === 'user') ? 'account' : 'group'} ${word}:`);
  for (const one of absences) {
    const asking = `explain ${word} --tenant ${commandWord(one.tenant_name)} --ask`;
    const cure = one.why === 'out_of_scope' ? ` -> entra-sync ${asking} reads the value from Entra ID` : '';
    terminal.say(linesTable([[one.tenant_name, `${absenceText(one)}${cure}`]]));
  }
  for (const tenant of tenants) terminal.say(`\nHow fresh this is\n${linesTable(freshnessLines(tenant))}`);
}

// A group has no fields to explain: why it is not copied, or where it is shown.
async function explainGroups(run: Run, database: Database, found: readonly FoundGroup[]): Promise<undefined> {
  const { terminal } = run;
  const { defaults } = openBasics(run.environment);
  const groups = [];
  for (const group of found)
    groups.push({ ...group, why: group.copied ? null : await whyNotCopied(database, defaults, group) });
  terminal.answer({ verdict: groups.some(({ copied }) => copied) ? 'group' : 'not_copied', groups });
  for (const { entra_object_id: id, tenant_name: name, why, ...group } of groups) {
    if (why !== null) terminal.say(`${name}: the group ${id} is ${why}`);
    else terminal.say(`${name}: ${copiedText(group)} -> entra-sync history ${group.group_id}`);
  }
}

function copiedText({ display_name: name, removed_at: removed }: Pick<FoundGroup, 'display_name' | 'removed_at'>) {
  const which = cut(name ?? 'without a name');
  if (removed !== null) return `${which} is a group that was removed ${when(removed)}, and no account. Its past`;
  return `${which} is a group that is copied, and no account. Its members and its past`;
}

async function neverSeen(
  run: Run,
  database: Database,
  word: string,
  tenants: readonly TenantRow[],
): Promise<ExpectedError> {
  const [only] = tenants;
  const one = tenants.length === 1 && only ? only : undefined;
  const where = one ? `${one.name} (last success ${when(one.last_success_at)})` : `any of ${tenants.length} tenants`;
  if (!only) {
    return new ExpectedError('unknown_name', 'no tenant is registered, so there are no accounts', {
      cure: 'entra-sync sync registers the tenant of AZURE_TENANT_ID',
    });
  }
  const cure = `entra-sync sync ${one ? commandWord(one.name) : 'TENANT'} --user USER asks Entra ID and says why; explain with --ask names the condition that keeps a user outside the scope`;
  if (!one) {
    return new ExpectedError('unknown_name', `no user or account called ${word} is known in ${where}`, {
      cure: `${cure}; of users who are set aside or outside the scope no name is kept`,
    });
  }
  const { defaults } = openBasics(run.environment);
  const { scope } = await settingsInForce(database, one.tenant_id, defaults);
  const group = await leftOutRemark(database, defaults, one.tenant_id, word);
  // The name of a guest: ann_contoso.com#EXT#@fabrikam.onmicrosoft.com.
  const isGuest = /#ext#/i.test(word) && scope.userTypes !== 'any' && !scope.userTypes.includes('guest');
  const guest = isGuest ? '; by its name it is a guest, and guests are outside the scope' : '';
  const { outside, set_aside: aside } = await countUnnamed(database, one.tenant_id);
  const counts = [
    ...(outside > 0 ? [`${plural(outside, 'user')} outside the scope`] : []),
    ...(aside > 0 ? [`${plural(aside, 'user')} set aside`] : []),
  ];
  const unnamed = counts.length > 0 ? `; there ${outside + aside === 1 ? 'is' : 'are'} ${counts.join(' and ')}` : '';
  return new ExpectedError(
    'unknown_name',
    `no user or account called ${word} is known in ${where}${guest}${group}${unnamed}`,
    {
      cure: `${cure}; of users who are set aside or outside the scope no name is kept, at most the object id`,
    },
  );
}

function linesTable(lines: ReadonlyArray<readonly string[]>): string {
  return table([], lines);
}
