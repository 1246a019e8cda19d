// The floor: nothing can be faster in this language than fetching and parsing the pages, and COPYing their rows into plain
// tables with the same keys. No stage, no checkpoint, no changes, no ownership, no check of anything.
import { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { begin, finish, firstUrl, type Page, plainTables, readJob, signIn, since } from './common.ts';

const { databaseUrl, tenantIds, wishes } = readJob();
const [tenant = ''] = tenantIds;
const setUp = await connect();
await setUp.query(plainTables);
const started = begin();
const token = await signIn(tenant);
const seen = new Map<string, number>();
let members = 0;
await Promise.all([users(), groups()]);
await finish({ seconds: since(started), users: await count('accounts'), groups: seen.size, members });

async function connect(): Promise<Client> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  return client;
}

async function* pages(first: string): AsyncGenerator<Page> {
  const get = async (url: string) =>
    (await (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).json()) as Page;
  let ahead: Promise<Page> | undefined = get(first);
  while (ahead) {
    const page: Page = await ahead;
    ahead = page['@odata.nextLink'] ? get(page['@odata.nextLink']) : undefined;
    yield page;
  }
}

async function users(): Promise<void> {
  const into = await copy('plain_accounts (tenant_id, entra_object_id, enabled, user_principal_name, mail, profile)');
  for await (const { value } of pages(firstUrl.users())) {
    await into.write(
      value.map(({ id, accountEnabled, userPrincipalName, mail, ...profile }) =>
        [tenant, id, accountEnabled, userPrincipalName, mail, JSON.stringify(profile)].map(field).join('\t'),
      ),
    );
  }
  await into.end();
}

async function groups(): Promise<void> {
  const into = await copy(
    'plain_groups (group_no, tenant_id, entra_object_id, display_name, description, mail, attributes)',
  );
  const intoMembers = await copy('plain_memberships (group_no, member_object_id, member_type)');
  for await (const { value } of pages(firstUrl.groups())) {
    const fresh: string[] = [];
    const rows: string[] = [];
    for (const { id, displayName, description, mail, 'members@delta': slice, ...attributes } of value) {
      let number = seen.get(String(id));
      if (number === undefined) {
        number = seen.size + 1;
        seen.set(String(id), number);
        fresh.push(
          [number, tenant, id, displayName, description, mail, JSON.stringify(attributes)].map(field).join('\t'),
        );
      }
      for (const member of (slice ?? []) as { id: string; '@odata.type': string }[])
        rows.push(`${number}\t${member.id}\t${member['@odata.type'] === '#microsoft.graph.user' ? 'u' : 'g'}`);
    }
    members += rows.length;
    await into.write(fresh);
    await intoMembers.write(rows);
  }
  await into.end();
  await intoMembers.end();
}

async function copy(into: string): Promise<{ write(lines: string[]): Promise<void>; end(): Promise<void> }> {
  const client = await connect();
  const stream = client.query(copyFrom(`copy ${into} from stdin`));
  return {
    write: (lines) =>
      new Promise((done, fail) => {
        if (lines.length === 0) done();
        else stream.write(`${lines.join('\n')}\n`, (error) => (error ? fail(error) : done()));
      }),
    end: () =>
      new Promise((done, fail) => {
        stream.on('error', fail).on('finish', done);
        stream.end();
      }),
  };
}

function field(value: unknown): string {
  if (value === undefined || value === null) return '\\N';
  return String(value).replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
}

async function count(table: string): Promise<number> {
  const { rows } = await setUp.query<{ count: number }>(`select count(*)::int as count from plain_${table}`);
  return wishes.count === false ? 0 : (rows[0]?.count ?? 0);
}
