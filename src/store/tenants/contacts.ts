// The contacts of a tenant. Each is an address of notices of a form of its own, with attempts and a state like the others.
import { randomBytes } from 'node:crypto';
import { type Database, inTransaction, rows, type Transaction } from '../database/pool.ts';

/** Returns the contacts of a tenant, in order of their addresses. */
export async function contactsOf(on: Database | Transaction, tenantId: string): Promise<string[]> {
  const found = await rows<{ address: string }>(
    on,
    `select substr(url, length('mailto:') + 1) as address from entra_sync.webhooks
      where tenant_id = :tenantId and form = 'contact' order by lower(url)`,
    { tenantId },
  );
  return found.map(({ address }) => address);
}

/** Tells whether the contacts of a tenant are told anything: `notify.customer` of the tenant, else of the installation. */
export async function contactsAreTold(on: Database | Transaction, tenantId: string): Promise<boolean> {
  const [found] = await rows<{ told: boolean }>(on, `select ${toldContacts(':tenantId::uuid')} as told`, { tenantId });
  return found?.told !== false;
}

/** Returns the condition, in SQL, that `notify.customer` in force for a tenant is not false. */
export const toldContacts = (tenantId: string) =>
  `coalesce((select s.document #> '{notify,customer}' from entra_sync.settings s
                 where s.tenant_id = ${tenantId} order by s.version desc limit 1),
               (select s.document #> '{notify,customer}' from entra_sync.settings s
                 where s.tenant_id is null order by s.version desc limit 1), 'true') <> 'false'`;

type Wanted = { readonly tenantId: string; readonly addresses: readonly string[]; readonly actor: string };

/** Makes these the contacts of a tenant. One that stays keeps its state and its log. */
export function setContacts(database: Database, wanted: Wanted): Promise<void> {
  return inTransaction(database, (transaction) => writeContacts(transaction, wanted));
}

/** As {@link setContacts}, within the caller's transaction. */
export async function writeContacts(transaction: Transaction, { tenantId, addresses, actor }: Wanted): Promise<void> {
  // Two who change them are in line.
  await transaction.raw('select from entra_sync.tenants where tenant_id = :tenantId for no key update', { tenantId });
  await transaction.raw(
    `delete from entra_sync.webhooks
      where tenant_id = :tenantId and form = 'contact' and not lower(url) = any(:urls::text[])`,
    { tenantId, urls: addresses.map((address) => `mailto:${address}`.toLowerCase()) },
  );
  for (const address of addresses)
    await transaction.raw(
      `insert into entra_sync.webhooks (tenant_id, url, form, secret, position, created_by)
       select :tenantId, :url, 'contact', :secret, directory.feed_position(), :actor
        where not exists (select from entra_sync.webhooks
                           where tenant_id = :tenantId and form = 'contact' and lower(url) = lower(:url))`,
      { tenantId, url: `mailto:${address}`, secret: randomBytes(32), actor },
    );
}
