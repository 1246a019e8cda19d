// A hand-written sync from the documented parts: the Graph client's PageIterator over both delta queries, and knex, which
// inserts on conflict in batches of 100. No stage, no checkpoint, no changes.
import { Client, type PageCollection, PageIterator } from '@microsoft/microsoft-graph-client';
import knex, { type Knex } from 'knex';
import { begin, finish, firstUrl, origin, plainTables, readJob, signIn, since } from './common.ts';

const { databaseUrl, tenantIds } = readJob();
const [tenant = ''] = tenantIds;
const database = knex({ client: 'pg', connection: databaseUrl, pool: { min: 0, max: 8 } });
await database.raw(plainTables);
const started = begin();
const token = await signIn(tenant);
const client = Client.init({
  baseUrl: `${origin()}/`,
  customHosts: new Set([new URL(origin()).hostname]),
  authProvider: (done) => done(null, token),
});
await Promise.all([users(), groups()]);
const [{ accounts, members } = { accounts: 0, members: 0 }] = (
  await database.raw<{ rows: { accounts: number; members: number }[] }>(
    'select (select count(*)::int from plain_accounts) as accounts, (select count(*)::int from plain_memberships) as members',
  )
).rows;
await finish({ seconds: since(started), users: accounts, members });

async function users(): Promise<void> {
  const batch = batchOf('plain_accounts', ['tenant_id', 'entra_object_id']);
  await iterate(firstUrl.users(), ({ id, accountEnabled, userPrincipalName, mail, ...profile }) =>
    batch.add({
      tenant_id: tenant,
      entra_object_id: id,
      enabled: accountEnabled,
      user_principal_name: userPrincipalName,
      mail: mail,
      profile: JSON.stringify(profile),
    }),
  );
  await batch.flush();
}

async function groups(): Promise<void> {
  const known = new Map<unknown, number>();
  const batch = batchOf('plain_groups', ['tenant_id', 'entra_object_id']);
  const members = batchOf('plain_memberships', ['group_no', 'member_object_id']);
  await iterate(
    firstUrl.groups(),
    async ({ id, displayName, description, mail, 'members@delta': slice, ...attributes }) => {
      const number = known.get(id) ?? known.size + 1;
      if (!known.has(id)) {
        known.set(id, number);
        await batch.add({
          group_no: number,
          tenant_id: tenant,
          entra_object_id: id,
          display_name: displayName,
          description,
          mail,
          attributes: JSON.stringify(attributes),
        });
      }
      for (const member of (slice ?? []) as { id: string; '@odata.type': string }[])
        await members.add({
          group_no: number,
          member_object_id: member.id,
          member_type: member['@odata.type'] === '#microsoft.graph.user' ? 'u' : 'g',
        });
    },
  );
  await batch.flush();
  await members.flush();
}

// The iterator does not wait for its callback, so the callback only collects; each page is then processed in order.
async function iterate(first: string, take: (item: Record<string, unknown>) => void | Promise<void>): Promise<void> {
  const page = (await client.api(first).get()) as PageCollection;
  const waiting: Record<string, unknown>[] = [];
  const iterator = new PageIterator(client, page, (item: Record<string, unknown>) => {
    waiting.push(item);
    return waiting.length < 100;
  });
  await iterator.iterate();
  for (;;) {
    for (const item of waiting.splice(0)) await take(item);
    if (iterator.isComplete()) return;
    await iterator.resume();
  }
}

function batchOf(table: string, key: string[]): { add(row: object): void | Promise<void>; flush(): Promise<void> } {
  let rows: object[] = [];
  const flush = async () => {
    const full = rows;
    rows = [];
    if (full.length > 0) await (database as Knex)(table).insert(full).onConflict(key).merge();
  };
  return {
    add: (row) => {
      rows.push(row);
      return rows.length >= 100 ? flush() : undefined;
    },
    flush,
  };
}
