// The pages and who may use them: `npm run access-table` writes the table of docs/privacy.md from the table of access, which the
// server itself reads.
import { readFileSync, writeFileSync } from 'node:fs';
import { packageFile } from '../src/package-files.ts';
import type { Role } from '../src/rules/viewers.ts';
import { access, type Route } from '../src/web/access.ts';

const begin = '<!-- written by npm run access-table -->';
const end = '<!-- end -->';

const columns: readonly { readonly title: string; readonly roles: readonly Role[] }[] = [
  { title: 'vendor, acting', roles: ['ops_act'] },
  { title: 'vendor, looking', roles: ['ops_read'] },
  { title: 'administrator', roles: ['admin'] },
  { title: 'reader', roles: ['reader'] },
  { title: 'publisher', roles: ['publisher'] },
  { title: 'manager', roles: ['manager'] },
  { title: 'oneself', roles: ['user'] },
];

/** Returns the table, a line a page: `looks` where the role may read it, `acts` where it may send a form there. */
export function accessTable(): string {
  const paths = new Map<string, { reads: Set<Role>; acts: Set<Role> }>();
  for (const [route, allowed] of Object.entries(access) as [Route, (typeof access)[Route]][]) {
    // A reason is given by those who only look, too.
    if (allowed === 'everybody' || route.endsWith('/reason')) continue;
    const [method, path = ''] = route.split(' ');
    const page = pageOf(path);
    const known = paths.get(page) ?? { reads: new Set(), acts: new Set() };
    for (const role of allowed as readonly Role[]) (method === 'GET' ? known.reads : known.acts).add(role);
    paths.set(page, known);
  }
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rows = [...paths].map(([page, { reads, acts }]) =>
    line([
      `\`${page}\``,
      ...columns.map(({ roles }) =>
        roles.some((role) => acts.has(role)) ? 'acts' : roles.some((role) => reads.has(role)) ? 'looks' : '',
      ),
    ]),
  );
  return [
    line(['page', ...columns.map(({ title }) => title)]),
    line(['page', ...columns].map(() => '---')),
    ...rows,
  ].join('\n');
}

/** The page that a route belongs to: forms and previews belong to the page that they stand on. */
function pageOf(path: string): string {
  const [, ...words] = path.replace('/console/t/:tenant', '/T').split('/');
  if (words[0] === 'console') return `/console${words[1] === undefined ? '' : `/${words[1]}`}`;
  if (words[0] !== 'T') return `/${words[0]}`;
  const isAct = ['sync', 'pause', 'resume', 'retry', 'acknowledge', 'reason', 'news'].includes(words[1] ?? '');
  const tab = isAct || words[1] === undefined ? '' : `/${words[1].replace('.csv', '')}`;
  const one = words[2] === undefined || ['assignments', 'settings'].includes(words[1] ?? '') ? '' : `/${words[2]}`;
  const history = words[3] === 'history' ? '/history' : '';
  return `/console/t/TENANT${tab}${one.replace(/^\/:(\w+)$/, (_, name: string) => `/${name.toUpperCase()}`)}${history}`;
}

/** Returns the page with today's table in it. */
export function withAccessTable(page: string): string {
  const [head, rest = ''] = page.split(begin);
  const [, tail = ''] = rest.split(end);
  return `${head}${begin}\n\n${accessTable()}\n\n${end}${tail}`;
}

if (process.argv[1] === import.meta.filename) {
  const path = packageFile('docs', 'privacy.md');
  writeFileSync(path, withAccessTable(readFileSync(path, 'utf8')));
}
