// Troubles of tenants: what needs a person now, against what was found before.
import { ownActors } from '../../rules/own-actors.ts';
import type { CredentialReference } from '../../settings/settings.ts';
import { type Database, inTransaction, rows, type Transaction, written } from '../database/pool.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { changeRowsOutsideCycle } from '../feed/change-rows.ts';

const lookEvery = '15 seconds';
const endedKept = '7 days';

/** Two failures in a row: one alone is mostly over by the next cycle. */
const failing = "t.status = 'quarantined' or t.failures >= 2";

const present = `
select t.tenant_id, 'failing' as kind, '' as key, jsonb_build_object('code', t.last_error_code) as detail
  from entra_sync.tenants t where t.status <> 'disconnected' and not t.paused and (${failing})
union all
select t.tenant_id, 'noticed', '', jsonb_build_object('notice', t.notice)
  from entra_sync.tenants t where t.notice is not null and t.notice_at > clock_timestamp() - interval '7 days'
union all
select l.tenant_id, 'removals_held', l.list_id::text, jsonb_build_object('list_id', l.list_id, 'count', h.count)
  from entra_sync.removal_lists l
  join (select x.list_id, count(*) as count
          from (select list_id from entra_sync.held_removals
                union all select list_id from entra_sync.held_memberships) x
         group by x.list_id) h using (list_id)
union all
select distinct w.tenant_id, 'waiting', left(i.external_ref, 200), '{}'::jsonb
  from entra_sync.waiting_consents w
  join entra_sync.invitations i using (invitation_id)
  left join entra_sync.tenants t on t.tenant_id = w.tenant_id
 where w.expires_at > clock_timestamp() and t.external_ref is null
union all
select null, 'credential_expires', :days::text, '{}'::jsonb where :days::text is not null
union all
select t.tenant_id, 'credential_expires', d.days::text, jsonb_build_object('days', d.days, 'own', d.own)
  from entra_sync.tenants t
  left join jsonb_to_recordset(:own::jsonb) as o (tenant_id uuid, days integer) on o.tenant_id = t.tenant_id
 cross join lateral (select o.tenant_id is not null as own,
                            case when o.tenant_id is null then :days::integer else o.days end as days) d
 where t.status <> 'disconnected' and d.days is not null`;

/** The days that are left of the certificate of the environment, and of those of tenants that have their own, as JSON. */
type Ends = { readonly days: number | null; readonly own: string };

type Changed = { tenant_id: string | null; kind: string; detail: object; ended: boolean };

/**
 * Looks for troubles, unless a worker did so within 15 seconds: new ones are noted and told in the change feed, those that
 * are over are ended. A tenant that another transaction holds waits for the next look. `days`: within how many days the
 * certificate of the environment ends; null: in more than 30, or it shows no end. `daysOf` tells the same of a tenant's own
 * credential. Returns how many began and ended.
 */
export async function lookForTroubles(
  database: Database,
  days: number | null,
  daysOf: (own: CredentialReference) => number | null = () => null,
): Promise<number> {
  const mine = await written<{ only_row: boolean }>(
    database,
    `update entra_sync.trouble_watch set looked_at = clock_timestamp()
      where only_row = (select only_row from entra_sync.trouble_watch
                         where looked_at < clock_timestamp() - interval '${lookEvery}' for update skip locked)
     returning only_row`,
  );
  if (mine.length === 0) return 0;
  const owned = await rows<{ tenant_id: string; credential: CredentialReference }>(database, ownCredentials);
  const own = owned.map(({ tenant_id, credential }) => ({ tenant_id, days: daysOf(credential) }));
  const ends: Ends = { days, own: JSON.stringify(own) };
  const moving = await rows<{ tenant_id: string | null; registered: boolean }>(database, movingTenants, ends);
  let changes = 0;
  for (const { tenant_id: tenant, registered } of moving)
    changes += await inTransaction(database, (transaction) => moveTroubles(transaction, { tenant, registered }, ends));
  await written(
    database,
    `delete from entra_sync.troubles where ended_at < clock_timestamp() - interval '${endedKept}'`,
  );
  return changes;
}

async function moveTroubles(
  transaction: Transaction,
  { tenant, registered }: { tenant: string | null; registered: boolean },
  ends: Ends,
): Promise<number> {
  // Whoever writes changes of a tenant holds its row. A commit may hold it for long, and nothing here is in a hurry.
  const held = await rows(
    transaction,
    'select from entra_sync.tenants where tenant_id = :tenant for no key update skip locked',
    { tenant },
  );
  if (registered && held.length === 0) return 0;
  const changed = await rows<Changed>(transaction, moveOfTenant, { tenant, ...ends });
  for (const one of changed) if (registered) await tell(transaction, one);
  return changed.length;
}

const ownCredentials = `
  select x.tenant_id, x.credential from (
    select distinct on (s.tenant_id) s.tenant_id, s.document -> 'credential' as credential
      from entra_sync.settings s where s.tenant_id is not null order by s.tenant_id, s.version desc) x
   where jsonb_typeof(x.credential) = 'object'`;

const differing = `
  select coalesce(p.tenant_id, o.tenant_id) as tenant_id
    from (${present}) p
    full join (select * from entra_sync.troubles where ended_at is null) o
      on o.kind = p.kind and o.key = p.key and o.tenant_id is not distinct from p.tenant_id
   where p.kind is null or o.kind is null`;

const movingTenants = `
select distinct x.tenant_id, t.tenant_id is not null as registered
  from (${differing}) x left join entra_sync.tenants t on t.tenant_id = x.tenant_id`;

const moveOfTenant = `
with present as materialized (
  select * from (${present}) x where x.tenant_id is not distinct from :tenant::uuid
), ended as (
  update entra_sync.troubles o set ended_at = clock_timestamp()
   where o.ended_at is null and o.tenant_id is not distinct from :tenant::uuid
     and not exists (select from present p where p.kind = o.kind and p.key = o.key)
  returning o.tenant_id, o.kind, o.detail
), begun as (
  insert into entra_sync.troubles (tenant_id, kind, key, detail)
  select p.tenant_id, p.kind, p.key, p.detail from present p
  on conflict (kind, key, tenant_id) where ended_at is null do nothing
  returning tenant_id, kind, detail
)
select tenant_id, kind, detail, false as ended from begun
union all select tenant_id, kind, detail, true from ended
 order by ended desc, kind`;

// The decision about a list and the acknowledgement of a notice are told by those who make them.
async function tell(transaction: Transaction, { tenant_id: tenant, kind, detail, ended }: Changed) {
  if (tenant === null || (ended && kind !== 'failing')) return;
  const batch = await nextFeedBatch(transaction);
  const facts = JSON.stringify(detail);
  await transaction.raw(changeRowsOutsideCycle(':kind', { before: ':before::jsonb', after: ':after::jsonb' }, ''), {
    ...{ batch, tenant, actor: ownActors.worker },
    ...(ended
      ? { kind: 'tenant.recovered', before: facts, after: null }
      : { kind: `tenant.${kind}`, before: null, after: facts }),
  });
  await closeFeedBatch(transaction, { batch, tenant });
}
