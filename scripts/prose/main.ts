// `npm run prose` counts prose that hides its subject, `-- --list` names each place, `-- --sql` names lines of SQL that are
// over 120 columns, `--check` looks at both. Fails where a group has 2 % or more of one kind; released migrations are never edited and only counted.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { isHeadless, usesPronoun } from './rules.ts';
import { longSqlLines, type Prose, scanMarkdown, scanSource, scanSql } from './scan.ts';

const root = join(import.meta.dirname, '..', '..');
const limit = 0.02;
const columns = 120;

type Place = Prose & { readonly file: string };
type Group = { readonly name: string; readonly fails: boolean; readonly all: Place[] };

const read = (file: string) => readFileSync(join(root, file), 'utf8');

function filesBelow(folder: string, ends: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ends) && !entry.parentPath.includes('fixtures'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !file.includes('node_modules'))
    .sort();
}

const collect = (files: readonly string[], scan: (text: string) => Prose[]): Place[] =>
  files.flatMap((file) => scan(read(file)).map((prose) => ({ ...prose, file })));

/** The changelog up to the end of its newest section: the rest is history. */
const newestSection = (text: string) =>
  text
    .split(/^(?=## )/m)
    .slice(0, 2)
    .join('');

function groups(): Group[] {
  const comments = (folder: string): Group => ({
    name: `comments of ${folder}/`,
    fails: true,
    all: collect(filesBelow(folder, '.ts'), (text) => scanSource(text).comments),
  });
  const pages = ['README.md', 'CONTRIBUTING.md', ...filesBelow('docs', '.md')];
  return [
    comments('src'),
    comments('test'),
    comments('bench'),
    {
      name: 'titles of tests',
      fails: true,
      all: collect(filesBelow('test', '.ts'), (text) => scanSource(text).titles),
    },
    {
      name: 'pages',
      fails: true,
      all: [...collect(pages, scanMarkdown), ...collect(['CHANGELOG.md'], (text) => scanMarkdown(newestSection(text)))],
    },
    { name: 'migrations (counted)', fails: false, all: collect(filesBelow('migrations', '.sql'), scanSql) },
  ];
}

const lines: string[] = [];
const say = (line: string) => lines.push(line);
const name = ({ file, line, text }: Place, why: string) => say(`${file}:${line}: ${why}: ${text.slice(0, 90)}`);
const share = (part: number, all: number) => (all === 0 ? 0 : part / all);
const cell = (part: number, all: number) =>
  `${String(part).padStart(5)} ${(share(part, all) * 100).toFixed(1).padStart(5)} %`;

function checkProse(list: boolean): boolean {
  let good = true;
  say(`${'group'.padEnd(22)} ${'count'.padStart(6)}      headless      pronouns`);
  for (const { name: group, fails, all } of groups()) {
    const headless = all.filter(({ text }) => isHeadless(text));
    const pronouns = all.filter(({ text }) => usesPronoun(text));
    const over = [headless, pronouns].some(({ length }) => share(length, all.length) >= limit);
    if (fails && over) good = false;
    const sums = `${cell(headless.length, all.length)} ${cell(pronouns.length, all.length)}`;
    say(`${group.padEnd(22)} ${String(all.length).padStart(6)} ${sums}${fails && over ? '  too many' : ''}`);
    if (!list) continue;
    for (const place of headless) name(place, 'headless');
    for (const place of pronouns) name(place, 'pronoun');
  }
  if (!good && !list) say('npm run prose -- --list names each place; the rules are in CONTRIBUTING.md, "Prose".');
  return good;
}

function checkSql(): boolean {
  const found = collect(filesBelow('src/store', '.ts'), (text) => longSqlLines(text, columns));
  for (const place of found) name(place, `over ${columns} columns`);
  say(`${found.length} lines of SQL over ${columns} columns`);
  return found.length === 0;
}

const options = new Set(process.argv.slice(2));
const isCheck = options.has('--check');
const isGood = isCheck
  ? [checkProse(false), checkSql()].every(Boolean)
  : options.has('--sql')
    ? checkSql()
    : checkProse(options.has('--list'));
// The check is silent where there is nothing to do.
if (!isCheck || !isGood) process.stdout.write(lines.map((line) => `${line}\n`).join(''));
if (!isGood) process.exitCode = 1;
