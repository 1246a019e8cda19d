// The pages of the console and the portal over one very large tenant: the time of each at the server, beside a plain statement for a list of
// the same length, and the size of its HTML.
import { randomUUID } from 'node:crypto';
import { loadDefaults } from '../src/settings/settings.ts';
import { keepNewWords } from '../src/store/accounts/words.ts';
import { rows as answersOf, type Database, openDatabase } from '../src/store/database/pool.ts';
import { makePortalRole } from '../src/store/schema/portal-role.ts';
import { applySettings } from '../src/store/settings/versions.ts';
import { noteLargeTenants } from '../src/store/stage/statistics.ts';
import { consolePages as pagesOfConsole } from '../src/web/console/pages.ts';
import { portalPages } from '../src/web/portal/pages.ts';
import { readingWorld } from '../test/support/reading-world.ts';
import { ops, serveOn } from '../test/support/web.ts';
import type { Bench } from './case.ts';
import { inMilliseconds, type Mark, median, type Section, times } from './report.ts';

const markMs = 300;
const markBytes = 200_000;

/** A cycle that created all accounts, one that changed a few, one that removed one, and what hangs on everyone. */
const history = [
  `insert into entra_sync.cycles (tenant_id, kind, actor, fence, started_at, finished_at, outcome, settings_version, streams)
   select :tenant, k.kind, 'worker', n, now() - k.age - interval '1 minute', now() - k.age, 'committed', 1, '{}'
     from (values (1, 'initial', interval '3 days'), (2, 'incremental', interval '2 days'), (3, 'resync', interval '1 hour')) k (n, kind, age)
    order by n`,
  `insert into entra_sync.batches (tenant_id, number, committed_at)
   select :tenant, n, now() - a from (values (1, interval '3 days'), (2, interval '2 days'), (3, interval '1 hour')) x (n, a) order by n`,
  `insert into entra_sync.changes (batch_id, tenant_id, at, cycle_id, actor, kind, account_id, before, after)
   select b.batch_id, :tenant, b.committed_at, c.cycle_id, 'worker', x.kind, a.account_id, x.before, x.after
     from (select batch_id, committed_at, row_number() over (order by number) as n from entra_sync.batches where tenant_id = :tenant) b
     join (select cycle_id, row_number() over (order by cycle_id) as n from entra_sync.cycles where tenant_id = :tenant) c on c.n = b.n
     join (values (1, 'account.created', null::jsonb, '{"state": "managed"}'::jsonb, 1),
                  (2, 'account.updated', '{"profile": {"jobTitle": "Aide"}}', '{"profile": {"jobTitle": "Clerk"}}', 500),
                  (3, 'account.updated', '{"profile": {"officeLocation": "B0"}}', '{"profile": {"officeLocation": "B1"}}', 1)) x (n, kind, before, after, every) on x.n = b.n
     join entra_sync.accounts a on a.tenant_id = :tenant and a.account_no % x.every = 0
    order by b.n, a.account_no`,
  `insert into entra_sync.slots (tenant_id, slot, winners) values (:tenant, 'banner', 1)`,
  `insert into entra_sync.items (tenant_id, slot, item) values (:tenant, 'banner', 'corp'), (:tenant, 'banner', 'spring')`,
  `insert into entra_sync.assignments (tenant_id, slot, item, target, is_exception, priority, created_by)
   values (:tenant, 'banner', 'corp', 'everyone', false, 0, 'bench')`,
  `insert into entra_sync.assignments (tenant_id, slot, item, target, group_id, is_exception, priority, created_by)
   select :tenant, 'banner', 'spring', 'group', group_id, false, 0, 'bench' from entra_sync.groups
    where tenant_id = :tenant order by group_no limit 200`,
  `insert into entra_sync.assigned (account_no, seq, rank)
   select a.account_no, r.seq, 1 from entra_sync.accounts a
     join entra_sync.assignments r on r.tenant_id = a.tenant_id and r.target = 'everyone' where a.tenant_id = :tenant`,
  `insert into entra_sync.audit (at, actor, role, via, act, tenant_id, detail)
   select now() - n * interval '1 minute', 'account:' || n % 100, 'ops_act', 'web', 'person.viewed', :tenant, '{}'
     from generate_series(1, :people::int) n`,
  `with list as (insert into entra_sync.removal_lists (tenant_id, stream, why)
                 values (:tenant, 'users', 'a bench') returning list_id)
   insert into entra_sync.held_removals (list_id, tenant_id, object_id, account_id, reason)
   select list_id, :tenant, entra_object_id, account_id, 'not_seen'
     from list, entra_sync.accounts where tenant_id = :tenant and entra_object_id is not null limit 1000`,
  // One group has everyone.
  `insert into entra_sync.effective_members (account_no, group_no, is_direct)
   select a.account_no, g.group_no, false from entra_sync.accounts a
     join (select min(group_no) as group_no from entra_sync.groups where tenant_id = :tenant) g on true
    where a.tenant_id = :tenant on conflict do nothing`,
];

async function build(database: Database, tenant: string, people: number): Promise<void> {
  for (const sql of readingWorld) await answersOf(database, sql, { tenant, people, groups: people / 100, each: 4 });
  for (const sql of history) await answersOf(database, sql, { tenant, people });
  await answersOf(
    database,
    "update entra_sync.tenants set status = 'active', last_success_at = now() where tenant_id = :tenant",
    { tenant },
  );
  await applySettings(database, loadDefaults(), {
    tenantId: tenant,
    document: { interval: '1h', portal: { managers: true } },
    actor: 'bench',
  });
  // The members of the group of everyone manage everyone, as managedBy of the settings would say it.
  await answersOf(
    database,
    `insert into entra_sync.managed_by (tenant_id, managers_id)
     select tenant_id, entra_object_id from entra_sync.groups where tenant_id = :tenant order by group_no limit 1`,
    { tenant },
  );
  await keepNewWords(database, tenant);
  await database.raw('analyze');
  await noteLargeTenants(database);
}

type Ids = {
  account: string;
  object: string;
  report: string;
  group: string;
  everyone: string;
  rule: string;
  first: string;
  last: string;
};

const pathsOf = (ids: Ids): readonly (readonly [name: string, path: string])[] => [
  ['the tenant', ''],
  ['removals that wait', '/removals'],
  ['contacts', '/contacts'],
  ['people', '/people'],
  ['people of a department', '/people?field=department&value=Department%203'],
  ['people with a value that none has', '/people?field=department&value=none'],
  ['a person', `/people/${ids.account}`],
  ['the history of a person', `/people/${ids.account}/history`],
  ['a person as it was', `/people/${ids.account}/history?at=2099-01-01`.replace('2099-01-01', yesterday())],
  ['groups', '/groups'],
  ['a group', `/groups/${ids.group}`],
  ['the group of everyone', `/groups/${ids.everyone}`],
  ['changes', '/changes'],
  ['changes of people', '/changes?kind=account.*'],
  ['the cycle that created all', `/cycles/${ids.first}`],
  ['the last cycle, by kind', `/cycles/${ids.last}?kind=account.updated`],
  ['assignments', '/assignments'],
  ['a rule', `/assignments/${ids.rule}`],
  ['a new rule', '/assignments/new'],
  ['people to assign to', '/assignments/people?q=ann'],
  ['why a person gets it', `/assignments/people/${ids.account}`],
  ['settings', '/settings'],
  ['audit', '/audit'],
  ['audit of one actor', '/audit?actor=account:7'],
];

const ofAllTenants = [
  ['tenants', '/console'],
  ['find', '/console/find?q=ann'],
  ['invitations', '/console/invitations'],
  ['webhooks', '/console/webhooks'],
  ['audit of all', '/console/audit'],
] as const;

const ofPortal = ({ report }: Ids): readonly (readonly [name: string, path: string])[] => [
  ['one\u2019s own page', '/me'],
  ['the team of everyone', '/team'],
  ['the team, by name', '/team?q=ann'],
  ['a person of the team', `/team/${report}`],
];

const yesterday = () => new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);

export async function consolePages({ postgres, isLarge, times: repeat, note }: Bench): Promise<Section> {
  const people = isLarge ? 100_000 : 20_000;
  const rows: string[][] = [];
  const marks: Mark[] = [];
  await postgres.withDatabase([], async (url) => {
    const tenant = randomUUID();
    const database = openDatabase(url);
    await build(database, tenant, people);
    note(`${people} accounts are there`);
    const [ids] = await answersOf<Ids>(
      database,
      `select (select account_id from entra_sync.accounts where tenant_id = :tenant order by account_no desc limit 1) as account,
              (select entra_object_id from entra_sync.accounts where tenant_id = :tenant order by account_no desc limit 1) as object,
              (select account_id from entra_sync.accounts where tenant_id = :tenant order by account_no limit 1) as report,
              (select group_id from entra_sync.groups where tenant_id = :tenant order by group_no desc limit 1) as "group",
              (select group_id from entra_sync.groups where tenant_id = :tenant order by group_no limit 1) as everyone,
              (select assignment_id from entra_sync.assignments where tenant_id = :tenant and target = 'everyone') as rule,
              min(cycle_id) as first, max(cycle_id) as last from entra_sync.cycles where tenant_id = :tenant`,
      { tenant },
    );
    if (!ids) throw new Error('the tenant is empty');
    const contractRole = await makePortalRole(database, 'bench');
    const web = await serveOn(database, [...pagesOfConsole, ...portalPages], { contractRole });
    const operator = await web.browser(ops('act'));
    await operator.post(`/console/t/${tenant}/reason`, { reason: 'bench', to: '/console' });
    const manager = await web.browser({ tenantId: tenant, objectId: ids.object, actor: 'bench' });
    const all = [
      ...ofAllTenants.map((one) => [...one, operator] as const),
      ...pathsOf(ids).map(([name, path]) => [name, `/console/t/${tenant}${path}`, operator] as const),
      ...ofPortal(ids).map((one) => [...one, manager] as const),
    ];
    const plain = await timed(repeat, () =>
      answersOf(database, 'select * from entra_sync.accounts where tenant_id = :tenant limit 50', { tenant }),
    );
    try {
      const slow: string[] = [];
      const large: string[] = [];
      for (const [name, path, browser] of all) {
        let bytes = 0;
        const ms = await timed(repeat, async () => {
          const { status, text } = await browser.get(path);
          if (status !== 200) note(`${name}: ${status}`);
          bytes = Buffer.byteLength(text);
        });
        if (ms >= markMs) slow.push(name);
        if (bytes >= markBytes) large.push(name);
        rows.push([name, inMilliseconds(ms / 1000), times(ms / plain), `${Math.round(bytes / 1000)} kB`]);
      }
      const found = (names: readonly string[]) => (names.length === 0 ? 'all' : `not ${names.join(', ')}`);
      marks.push(
        { mark: 'each page', wanted: `below ${markMs} ms`, found: found(slow), reached: slow.length === 0 },
        { mark: 'the HTML of each', wanted: 'below 200 kB', found: found(large), reached: large.length === 0 },
      );
    } finally {
      await web.close();
      await database.destroy();
    }
    return {};
  });
  return {
    title: `Pages of the console and the portal: ${people.toLocaleString('en')} accounts`,
    head: ['', 'time', 'to a plain list', 'HTML'],
    rows,
    marks,
  };
}

async function timed(repeat: number, ask: () => Promise<unknown>): Promise<number> {
  const took: number[] = [];
  // The first one warms the caches.
  for (let run = 0; run <= repeat; run += 1) {
    const started = performance.now();
    await ask();
    if (run > 0) took.push(performance.now() - started);
  }
  return median(took);
}
