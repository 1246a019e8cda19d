// `web sessions`: who is signed in to the web, and the end of it.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { endSessions, type ListedSession, listSessions } from '../../store/web/sessions.ts';
import { pickAccountId } from '../accounts.ts';
import { audited } from '../audited.ts';
import { type Run, runVerb, type VerbOptions, verb, verbGroup } from '../command.ts';
import { plural, when } from '../format.ts';
import { table } from '../layout.ts';

type EndOptions = VerbOptions & { tenant?: string; account?: string; all?: boolean };

export function sessionsCommand(): Command {
  const sessions = verbGroup('sessions', 'Who is signed in to the web.', [
    'web sessions list',
    'web sessions end --tenant Contoso',
  ]);
  sessions.addCommand(
    verb('list', 'List the open sessions.', ['web sessions list', 'web sessions list --json']).action(
      (options: VerbOptions) => runVerb(options, list),
    ),
  );
  sessions.addCommand(
    verb(
      'end',
      'End sessions at once: one of the list, those of a tenant, those of an account, or all.',
      ['web sessions end 4f2a90c1d3e7', 'web sessions end --account ann@contoso.com', 'web sessions end --all'],
      { acts: true },
    )
      .argument('[session]', 'the session, as web sessions list names it')
      .option('--tenant <tenant>', 'those of this tenant: id, name or reference; with --account the tenant to look in')
      .option('--account <account>', 'those of this account: id, name or address')
      .option('--all', 'all of them')
      .action((session: string | undefined, options: EndOptions) =>
        runVerb(options, (run) => end(run, session, options)),
      ),
  );
  return sessions;
}

async function list(run: Run): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const sessions = await listSessions(database);
  terminal.answer({ sessions });
  if (sessions.length === 0) terminal.say('No session is open.');
  else terminal.say(table(columns, sessions.map(cellsOf)));
}

const columns = ['session', 'actor', 'as', 'tenant', 'began', 'last seen'].map((title) => ({
  title,
  long: title === 'actor' || title === 'tenant',
}));

function cellsOf(one: ListedSession): string[] {
  const actor = one.account_id === null ? one.actor : `account:${one.account_id}`;
  const role = one.ops !== null ? `ops (${one.ops})` : (one.directory_role ?? 'user');
  return [one.session_id, actor, role, one.tenant_name ?? one.tenant_id ?? '', when(one.created_at), when(one.seen_at)];
}

async function end(run: Run, session: string | undefined, options: EndOptions): Promise<undefined> {
  const { terminal } = run;
  const given = [session, options.account ?? options.tenant, options.all].filter((one) => one !== undefined);
  if (given.length !== 1) {
    throw new ExpectedError('usage', 'name one session, or give one of --tenant, --account and --all', {
      cure: 'entra-sync web sessions list shows them',
    });
  }
  const { database } = await run.database();
  const tenant = options.tenant === undefined ? undefined : await findTenant(database, options.tenant);
  const tenantId = tenant?.tenant_id ?? null;
  const accountId =
    options.account === undefined ? null : await pickAccountId(terminal, database, tenantId, options.account);
  const ended = await endSessions(database, { sessionId: session ?? null, tenantId, accountId });
  if (session !== undefined && ended === 0) {
    throw new ExpectedError('unknown_name', `no open session is called ${session.slice(0, 40)}`, {
      cure: 'entra-sync web sessions list shows them',
    });
  }
  await audited(run, database, { act: 'session.ended', tenantId, accountId, detail: { ended } });
  terminal.answer({ ended });
  terminal.say(`${plural(ended, 'session')} ended.`);
}
