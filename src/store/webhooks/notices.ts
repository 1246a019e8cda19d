// The notices of an address: of each trouble its beginning, each day of it, and its end.
import { randomUUID } from 'node:crypto';
import type { Notice } from '../../rules/notices.ts';
import { type Database, type Transaction, written } from '../database/pool.ts';
import { toldContacts } from '../tenants/contacts.ts';

const lookEvery = '15 seconds';

// The application has no permissions in the tenant, or the tenant no longer has the application (Microsoft's error codes:
// https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes).
const lostConsent = `(o.last_error_code = 'consent_missing' or o.last_error_code = 'sign_in_failed'
                      and o.last_error_message ~ 'AADSTS(65001|700016|7000229)([^0-9]|$)')`;

// A contact of a tenant is told of what the customer alone can mend, unless the settings say that customers are told nothing.
// The code of now: a tenant may fail for another reason than at first. An end is told to an address that knows the beginning.
const toldToContacts = `
  (t.kind = 'removals_held' or t.kind = 'failing' and (t.ended_at is not null or ${lostConsent}))
  and ${toldContacts('w.tenant_id')}`;

// The certificate of the installation is told as one trouble of no tenant, and stands in the feed of each tenant that uses it.
// Within 30 days becomes within 7: then the first is over, and nothing has ended.
const toldOfCertificates = `
  (t.tenant_id is null or (t.detail ->> 'own')::boolean)
  and not (t.ended_at is not null and exists (
    select from entra_sync.troubles later
     where later.kind = t.kind and later.tenant_id is not distinct from t.tenant_id and later.ended_at is null))`;

// A trouble is told when it begins, a day after it was told last, and when it ends. One that began before the address was
// added is told, too: it needs a person.
/** Fixes the next notice of an address as its lot; without one the address is looked at again in 15 seconds. */
export async function fixNotice(
  database: Database,
  { id, claim }: { readonly id: string; readonly claim: string },
): Promise<'fixed' | 'nothing'> {
  const fixed = await written<{ webhook_id: string }>(
    database,
    `update entra_sync.webhooks u
        set lot_id = :lotId, lot_at = clock_timestamp(), lot_to = u.position, lot_notice = n.notice,
            behind_since = n.since
       from (
         select jsonb_build_object('trouble_id', t.trouble_id::text, 'kind', t.kind, 'key', t.key,
                  'tenant_id', t.tenant_id,
                  'tenant_name', o.name, 'since', t.since, 'detail', t.detail,
                  'for_customer', w.form = 'contact',
                  'phase', case when t.ended_at is not null then 'ended'
                                when x.told_at is null then 'begins' else 'lasts' end)
                  as notice, coalesce(t.ended_at, x.told_at + interval '1 day', t.since) as since
           from entra_sync.webhooks w
           join entra_sync.troubles t on w.tenant_id is null or t.tenant_id = w.tenant_id
           left join entra_sync.tenants o on o.tenant_id = t.tenant_id
           left join entra_sync.told_troubles x on x.webhook_id = w.webhook_id and x.trouble_id = t.trouble_id
          where w.webhook_id = :id and case
                  when t.ended_at is not null then x.told_at is not null and not x.ended
                  else x.told_at is null or x.told_at < clock_timestamp() - interval '1 day' end
            and (w.form <> 'contact' or ${toldToContacts})
            and (t.kind <> 'credential_expires' or ${toldOfCertificates})
          order by t.ended_at nulls last, t.trouble_id limit 1) n
      where u.webhook_id = :id and u.claim = :claim and u.lot_id is null
     returning u.webhook_id`,
    { id, claim, lotId: randomUUID() },
  );
  if (fixed.length > 0) return 'fixed';
  await written(
    database,
    `update entra_sync.webhooks set behind_since = null, next_at = clock_timestamp() + interval '${lookEvery}'
      where webhook_id = :id and claim = :claim`,
    { id, claim },
  );
  return 'nothing';
}

/** Notes that an address was told. */
export async function noteTold(
  transaction: Transaction,
  id: string,
  { trouble_id: trouble, phase }: Notice,
): Promise<void> {
  await transaction.raw(
    `insert into entra_sync.told_troubles as x (webhook_id, trouble_id, ended)
     select :id, t.trouble_id, :ended from entra_sync.troubles t where t.trouble_id = :trouble::bigint
     on conflict (webhook_id, trouble_id) do update set told_at = clock_timestamp(), ended = excluded.ended`,
    { id, trouble, ended: phase === 'ended' },
  );
}
