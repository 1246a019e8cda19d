// The public contract as types: `npm run types` writes directory.d.ts from the catalogs of a database that has all
// migrations, with the not-null columns and words of scripts/directory-columns.ts.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { packageFile } from '../src/package-files.ts';
import { openEmbedded } from '../src/store/embedded/embedded.ts';
import { migrate } from '../src/store/schema/migrate.ts';
import { checkedWords, explained, nullable, otherWords, type Relation, relations } from './directory-columns.ts';

const head = `// Types of schema directory, the public contract (docs/contract.md): written by \`npm run types\`, never edited.
// Values are as node-postgres returns them: bigint is a string, timestamptz a Date, jsonb an object.
`;

// No catalog tells the DETAIL of an error: test/database/error-fields.test.ts holds it to this.
const refusal = `/** DETAIL of ES001, ES002, ES003, ES005, ES008, ES009 and ES010, parsed; more facts may come. */
export interface RefusalDetail {
  code: 'ES001' | 'ES002' | 'ES003' | 'ES005' | 'ES008' | 'ES009' | 'ES010';
  field?: string;
  owner?: Owner;
  fields?: string[];
  roles?: Role[];
  type?: 'text' | 'text[]' | 'number' | 'boolean' | 'any' | 'object' | 'time' | 'uuid';
  max_length?: number;
  max_items?: number;
  max_fields?: number;
  max_bytes?: number;
  options?: string[];
}`;

const typesOfPostgres: Readonly<Record<string, string>> = {
  uuid: 'string',
  text: 'string',
  bigint: 'string',
  integer: 'number',
  boolean: 'boolean',
  jsonb: 'Record<string, unknown>',
  // A Buffer is one, and needs no types of Node.
  bytea: 'Uint8Array',
  'text[]': 'string[]',
  'timestamp with time zone': 'Date',
  void: 'unknown',
};

type Column = { readonly name: string; readonly type: string; readonly passed: boolean };

const columnsSql = `
  select c.relname as relation, c.relkind = 'v' as shown, a.attname as name, format_type(a.atttypid, a.atttypmod) as type
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   where c.relnamespace = 'directory'::regnamespace and c.relkind in ('v', 'c') order by c.relkind desc, c.relname, a.attnum`;

const notNullSql = `
  select c.relname as relation, a.attname as name
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and a.attnotnull
   where c.relnamespace = 'entra_sync'::regnamespace and c.relkind = 'r'`;

// The words of a check on one column.
const wordsSql = `
  select pg_get_constraintdef(k.oid) as rule from pg_constraint k
    join pg_attribute a on a.attrelid = k.conrelid and k.conkey = array[a.attnum] and a.attname = $2
   where k.conrelid = format('entra_sync.%I', $1::text)::regclass and k.contype = 'c'`;

// A function of the same name with fewer arguments has the first of these: then the others are optional.
const functionsSql = `
  select distinct on (p.proname) p.proname as name, pg_get_function_result(p.oid) as gives,
         min(p.pronargs - p.pronargdefaults) over (partition by p.proname)::int as required,
         array(select format_type(t, null) from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as x (t, place)
                order by place) as types,
         p.proargnames as names, p.pronargs as takes
    from pg_proc p where p.pronamespace = 'directory'::regnamespace order by p.proname, p.pronargs desc`;

type Routine = {
  name: string;
  gives: string;
  required: number;
  types: string[];
  names: string[] | null;
  takes: number;
};

function typeOf(type: string): string {
  return typesOfPostgres[type] ?? fail(`add ${type} to scripts/types.ts`);
}

function fail(message: string): never {
  throw new Error(message);
}

function union(name: string, words: readonly string[]): string {
  const quoted = words.map((word) => `'${word}'`);
  const line = `export type ${name} = ${quoted.join(' | ')};`;
  return line.length <= 120 ? line : `export type ${name} =\n${quoted.map((word) => `  | ${word}`).join('\n')};`;
}

function shape({ type, notNull, types }: Relation, columns: readonly Column[]): string {
  const known = new Set(columns.map(({ name }) => name));
  for (const name of [...notNull, ...Object.keys(types)]) if (!known.has(name)) fail(`${type} has no column ${name}`);
  const lines = columns.map(({ name, type: postgres, passed }) => {
    const plain = types[name] ?? typeOf(postgres);
    // A value that may be anything may be null as well.
    return `  ${name}: ${passed || notNull.includes(name) || plain === 'unknown' ? plain : `${plain} | null`};`;
  });
  return `export interface ${type} {\n${lines.join('\n')}\n}`;
}

function call({ name, gives, required, types, names, takes }: Routine): string {
  const args = types.slice(0, takes).map((type, place) => {
    const called = names?.[place] ?? fail(`${name} has an argument without a name`);
    const plain = called === 'actor_role' ? 'Role' : typeOf(type);
    return `${called}${place < required ? '' : '?'}: ${plain}${nullable[name]?.includes(called) ? ' | null' : ''}`;
  });
  const row = /^SETOF directory\.(\w+)$/.exec(gives)?.[1];
  const [, each] = /^SETOF (\w+)$/.exec(gives) ?? [];
  const returns = gives.startsWith('TABLE(')
    ? `${explained.type}[]`
    : row === undefined
      ? each === undefined
        ? typeOf(gives)
        : `${typeOf(each)}[]`
      : `${relations[row]?.type ?? fail(`add ${row} to scripts/directory-columns.ts`)}[]`;
  const line = `    args: [${args.join(', ')}];`;
  const written = line.length <= 120 ? line : `    args: [\n${args.map((one) => `      ${one},`).join('\n')}\n    ];`;
  return `  ${name}: {\n${written}\n    returns: ${returns};\n  };`;
}

/** The types of the public contract, as directory.d.ts has them. */
export async function describeTypes(client: Client): Promise<string> {
  const { rows: columns } = await client.query<{ relation: string; shown: boolean; name: string; type: string }>(
    columnsSql,
  );
  const { rows: notNull } = await client.query<{ relation: string; name: string }>(notNullSql);
  const kept = new Set(notNull.map(({ relation, name }) => `${relation}.${name}`));
  const { rows: routines } = await client.query<Routine>(functionsSql);

  const unions: string[] = [];
  for (const [type, table, column] of checkedWords) {
    const { rows } = await client.query<{ rule: string }>(wordsSql, [table, column]);
    const words = [...(rows[0]?.rule ?? '').matchAll(/'([a-z_0-9]+)'::text/g)].map(([, word = '']) => word);
    unions.push(union(type, words.length > 0 ? words : fail(`${table}.${column} has no check`)));
  }
  for (const [type, words] of Object.entries(otherWords)) unions.push(union(type, words));

  const names = [...new Set(columns.map(({ relation }) => relation))];
  const shapes = names.map((name) => {
    const relation = relations[name] ?? fail(`add ${name} to scripts/directory-columns.ts`);
    const own = columns.filter((one) => one.relation === name);
    const passed = (column: string) => relation.from.some((table) => kept.has(`${table}.${column}`));
    return shape(
      relation,
      own.map((one) => ({ ...one, passed: passed(one.name) })),
    );
  });
  const own = routines.find(({ gives }) => gives.startsWith('TABLE(')) ?? fail('no function returns a table');
  const explanation = own.types
    .map((type, place) => ({ name: own.names?.[place] ?? '', type, passed: false }))
    .slice(own.takes);

  const shown = names.filter((name) => columns.some(({ relation, shown: isView }) => relation === name && isView));
  const database = shown.map((name) => `  'directory.${name}': ${relations[name]?.type};`).join('\n');
  return `${[
    head.trimEnd(),
    ...unions,
    ...shapes,
    shape(explained, explanation),
    refusal,
    `/** Every view by its name, as Kysely takes it. */\nexport interface Database {\n${database}\n}`,
    `/** Every function by its name: its arguments in order, and its rows or its value. */\nexport interface Functions {\n${routines.map(call).join('\n')}\n}`,
  ].join('\n\n')}\n`;
}

async function write(): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'entra-sync-types-'));
  const server = await openEmbedded({ home, database: 'types' });
  const client = new Client({ connectionString: server.url });
  try {
    await migrate(server.url);
    await client.connect();
    await writeFile(packageFile('directory.d.ts'), await describeTypes(client));
  } finally {
    await client.end();
    await server.close();
    await rm(home, { recursive: true, force: true });
  }
}

if (import.meta.main) await write();
