// `audit`: who did and looked at what, by the web and by the command line.
import type { Command } from 'commander';
import { type AuditRow, readAudit } from '../../store/feed/audit.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { pickAccountId } from '../accounts.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { when } from '../format.ts';
import { table } from '../layout.ts';
import { parseTime, timeHelp } from '../times.ts';
import { wholeNumber } from '../whole-number.ts';

type AuditOptions = VerbOptions & {
  account?: string;
  by?: string;
  act?: string;
  since?: string;
  until?: string;
  limit: number;
};

export function auditCommand(): Command {
  return verb(
    'audit',
    'Show who did and looked at what: sign-ins and refusals, what was done on pages, and pauses, invitations, grants, exports and erasures of the command line. Kept for 400 days.',
    [
      'audit',
      'audit Contoso --since 7d',
      'audit --account ann@contoso.com',
      'audit --act "sign_in.*" --json',
      'audit --by account:0c1e4b9a-8d2f-4c3b-9e11-2f6a7b8c9d0e',
    ],
  )
    .argument('[tenant]', 'id, name or reference; without it all tenants')
    .option(
      '--account <account>',
      'only lines about this account: id, name or address; one that is gone by its account id',
    )
    .option('--by <actor>', 'only lines of this actor')
    .option('--act <act>', 'only this act, with * for any ending: "sign_in.*"')
    .option('--since <time>', `only lines since: ${timeHelp}`, parseTime)
    .option('--until <time>', 'only lines before this time', parseTime)
    .option('--limit <n>', 'the number of lines', wholeNumber, 50)
    .action((word: string | undefined, options: AuditOptions) => runVerb(options, (run) => audit(run, word, options)));
}

async function audit(run: Run, word: string | undefined, options: AuditOptions): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenant = word === undefined ? undefined : await findTenant(database, word);
  const { account = null, by = null, act = null, since = null, until = null, limit } = options;
  const tenantId = tenant?.tenant_id ?? null;
  const accountId = account === null ? null : await pickAccountId(terminal, database, tenantId, account);
  const lines = await readAudit(database, { tenantId, accountId, actor: by, act, since, until, before: null, limit });
  terminal.answer({ audit: lines });
  if (lines.length === 0) terminal.say('No line of the audit fits.');
  else terminal.say(table(columns, lines.map(cellsOf)));
}

const columns = ['at', 'act', 'actor', 'role', 'tenant', 'account', 'detail'].map((title) => ({
  title,
  long: title === 'actor' || title === 'tenant',
}));

function cellsOf(line: AuditRow): string[] {
  const detail = Object.entries(line.detail).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  const tenant = line.tenant_name ?? line.tenant_id ?? '';
  return [when(line.at), line.act, line.actor, line.role, tenant, line.account_id ?? '', detail.join(', ')];
}
