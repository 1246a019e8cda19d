// Checks README.md and docs/ against the code: codes, settings, variables and verbs both ways, and every link and anchor.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { pagesOfTheSite } from '../../site/sidebar.ts';
import { dueIn } from '../../src/cli/format.ts';
import { assignmentsCommand } from '../../src/cli/verbs/assignments.ts';
import { auditCommand } from '../../src/cli/verbs/audit.ts';
import { changesCommand } from '../../src/cli/verbs/changes.ts';
import { connectCommand } from '../../src/cli/verbs/connect.ts';
import { cycleCommand } from '../../src/cli/verbs/cycle.ts';
import { demoCommand } from '../../src/cli/verbs/demo.ts';
import { doctorCommand } from '../../src/cli/verbs/doctor.ts';
import { editCommand } from '../../src/cli/verbs/edit.ts';
import { explainCommand } from '../../src/cli/verbs/explain.ts';
import { findCommand } from '../../src/cli/verbs/find.ts';
import { grantCommand } from '../../src/cli/verbs/grant.ts';
import { compareCommand, historyCommand } from '../../src/cli/verbs/history.ts';
import { managersCommand } from '../../src/cli/verbs/managers.ts';
import { migrateCommand } from '../../src/cli/verbs/migrate.ts';
import { notifyCommand } from '../../src/cli/verbs/notify.ts';
import { personCommand } from '../../src/cli/verbs/person.ts';
import { psqlCommand } from '../../src/cli/verbs/psql.ts';
import { registerCommand } from '../../src/cli/verbs/register.ts';
import { removalsCommand } from '../../src/cli/verbs/removals.ts';
import { restoreCommand } from '../../src/cli/verbs/restore.ts';
import { settingsCommand } from '../../src/cli/verbs/settings.ts';
import { simulateCommand } from '../../src/cli/verbs/simulate.ts';
import { itemsCommand, slotsCommand } from '../../src/cli/verbs/slots.ts';
import { statusCommand } from '../../src/cli/verbs/status.ts';
import { resyncCommand, syncCommand } from '../../src/cli/verbs/sync.ts';
import { tenantCommand } from '../../src/cli/verbs/tenant.ts';
import { verifyCommand } from '../../src/cli/verbs/verify.ts';
import { webCommand } from '../../src/cli/verbs/web.ts';
import { webhookCommand } from '../../src/cli/verbs/webhook.ts';
import { workerCommand } from '../../src/cli/verbs/worker.ts';
import { exitCodes } from '../../src/errors.ts';
import { packageFile, packageVersion } from '../../src/package-files.ts';
import { documentSchema, roleSettings } from '../../src/settings/schema.ts';
import { language as english } from '../../src/web/connect/languages/en.ts';
import { anchorsOf, codeIn, type Page, proseOf, readPage, readPages, tableOf } from '../support/pages.ts';

const pages = readPages();

function page(path: string): Page {
  return pages.find((one) => one.path === path) ?? expect.unreachable(`${path} is not there`);
}

const commands = [
  changesCommand(),
  compareCommand(),
  assignmentsCommand(),
  findCommand(),
  connectCommand(),
  cycleCommand(),
  demoCommand(),
  doctorCommand(),
  editCommand(),
  explainCommand(),
  grantCommand(),
  historyCommand(),
  managersCommand(),
  migrateCommand(),
  personCommand(),
  psqlCommand(),
  registerCommand(),
  removalsCommand(),
  restoreCommand(),
  slotsCommand(),
  itemsCommand(),
  settingsCommand(),
  simulateCommand(),
  statusCommand(),
  syncCommand(),
  resyncCommand(),
  tenantCommand(),
  verifyCommand(),
  workerCommand(),
  auditCommand(),
  webCommand(),
  webhookCommand(),
  notifyCommand(),
];

/** Returns every verb by its words: `sync`, `tenant add`, `web sessions end`. A command of commands is a verb if it has an action. */
const verbs = new Map<string, Command>(commands.flatMap((command) => verbsOf(command, command.name())));

function verbsOf(command: Command, words: string): (readonly [string, Command])[] {
  const acts = (command as unknown as { _actionHandler: unknown })._actionHandler !== null;
  const within = command.commands.flatMap((one) => verbsOf(one, `${words} ${one.name()}`));
  return acts ? [[words, command], ...within] : within;
}

/** Returns the verb and the options of a command line; undefined if it names no verb. */
function readCommand(line: string) {
  const words = line.split(/\s+/).filter((word) => /^[\w-]/.test(word));
  const name = [3, 2, 1].map((count) => words.slice(0, count).join(' ')).find((one) => verbs.has(one));
  return { name, options: line.match(/(?<=^|[\s[(])--[a-z][a-z-]*/g) ?? [] };
}

describe('README', () => {
  const readme = page('README.md');

  test('is a front page: at most 150 lines, 30 lines of output and one picture', () => {
    expect(readme.text.split('\n').length - 1).toBeLessThanOrEqual(150);
    const outputs = readme.blocks.filter(({ language }) => language === 'text');
    expect(outputs.map(({ text }) => text.split('\n').length - 1).every((lines) => lines <= 30)).toBe(true);
    expect(readme.text.match(/!\[/g)).toHaveLength(1);
    expect(readme.blocks.filter(({ language }) => language === 'sql')).toHaveLength(1);
  });
});

test('README, docs/connect.md, the last page of a consent and status say the same of the first cycle: it is due at once', () => {
  const never = { status: 'active', paused: false, next_cycle_at: null };
  const said = [page('README.md').text, page('docs/connect.md').text, english.texts.connected.due];
  for (const text of said) expect(text).toMatch(/due at once/);
  expect(`due ${dueIn(never)}`).toBe('due at once');
});

describe('links', () => {
  const linking = [...new Set([...pages.map(({ path }) => path), ...pagesOfTheSite])].map(readPage);
  const links = linking.flatMap((one) =>
    [...proseOf(one).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, to = '']) => ({ from: one.path, to }))
      .filter(({ to }) => !/^[a-z]+:/.test(to)),
  );

  test.each(linking.map(({ path }) => path))('%s links to files and headings that are there', (path) => {
    for (const { to } of links.filter(({ from }) => from === path)) {
      const [file = '', anchor] = to.split('#');
      const target = file === '' ? path : normalize(join(dirname(path), file));
      expect(existsSync(packageFile(target)), to).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(readPage(target)), to).toContain(anchor);
    }
  });

  test('the site has each page once in its sidebar', () => {
    expect(new Set(pagesOfTheSite).size).toBe(pagesOfTheSite.length);
    for (const { path } of pages) expect(pagesOfTheSite).toContain(path);
  });

  test('README, docs/README.md and docs/alerts.md link to every page', () => {
    const reached = links
      .filter(({ from }) => from.endsWith('README.md') || from === 'docs/alerts.md')
      .map(({ from, to }) => join(dirname(from), to));
    for (const { path } of pages) if (!path.endsWith('README.md')) expect(reached).toContain(path);
  });
});

describe('places', () => {
  test.each(pages)('that $path names in the tree are there', (one) => {
    for (const code of codeIn(proseOf(one)))
      if (/^(src|test|bench|deploy|config|migrations)\/[\w./-]+$|^[\w-]+(\/[\w-]+)+\.ts$/.test(code)) {
        // A source file may be named without src/.
        const found = existsSync(packageFile(code)) || existsSync(packageFile('src', code));
        expect(found, code).toBe(true);
      }
  });

  test('docs/architecture.md names every folder of src, and every room of src/store and src/simulator', () => {
    const foldersOf = (path: string) =>
      readdirSync(packageFile(path), { withFileTypes: true }).filter((one) => one.isDirectory());
    const told = codeIn(page('docs/architecture.md').text);
    for (const { name } of foldersOf('src')) expect(told).toContain(`src/${name}/`);
    for (const { name } of [...foldersOf('src/store'), ...foldersOf('src/simulator')])
      expect(told).toContain(`${name}/`);
  });

  test('in the documentation that messages, settings and deployment files name exist', () => {
    const texts = ['src', 'config', 'deploy'].flatMap((folder) =>
      readdirSync(packageFile(folder), { recursive: true, encoding: 'utf8' })
        .filter((path) => /\.(ts|ya?ml)$/.test(path))
        .map((path) => readFileSync(packageFile(folder, path), 'utf8')),
    );
    const named = texts.flatMap((text) => [
      ...text.matchAll(/\b(README(?:\.md)?|docs\/[a-z-]+\.md)(?:, \\?"([^"\\]+)\\?")?/g),
    ]);
    expect(named.length).toBeGreaterThan(10);
    for (const [, file = '', heading] of named) {
      const { text } = page(file === 'README' ? 'README.md' : file);
      if (heading !== undefined) expect(text.includes(`\n## ${heading}\n`), `${file}, "${heading}"`).toBe(true);
    }
  });
});

describe('docs/commands.md', () => {
  const reference = page('docs/commands.md');

  test('explains every error code with its exit code, and no other', () => {
    const told = tableOf(reference, 'Error codes').map(([code = '', exit]) => [codeIn(code)[0], Number(exit)]);
    expect(Object.fromEntries(told)).toEqual(exitCodes);
    expect(told).toHaveLength(Object.keys(exitCodes).length);
    for (const [code, , meaning, cure] of tableOf(reference, 'Error codes')) expect(meaning && cure, code).toBeTruthy();
  });

  test('explains every exit code, and no other', () => {
    const told = tableOf(reference, 'Exit codes').map(([code]) => Number(code));
    expect(told).toEqual([...new Set([0, 1, ...Object.values(exitCodes)])].sort((one, other) => one - other));
  });

  test('explains every verb, and no other', () => {
    const names = commands.map((command) => command.name());
    const program = readFileSync(packageFile('src', 'cli', 'program.ts'), 'utf8');
    expect(names.sort()).toEqual([...program.matchAll(/^ {4}(\w+): async/gm)].map(([, name]) => name).sort());
    let group = '';
    const told = tableOf(reference, 'Verbs').flatMap(([verb = '']) =>
      codeIn(verb).flatMap((code) => {
        const { name, options } = readCommand(code);
        if (name === undefined) expect(verbs.has(group), `${code} is not a verb`).toBe(true);
        group = name ?? group;
        for (const option of options) {
          expect(
            verbs.get(group)?.options.map(({ long }) => long),
            `${code}: ${option}`,
          ).toContain(option);
        }
        return name ?? [];
      }),
    );
    expect([...new Set(told)].sort()).toEqual([...verbs.keys()].sort());
  });
});

test('the help of every verb describes every argument and option', () => {
  for (const [words, command] of verbs) {
    for (const one of command.registeredArguments) expect(one.description, `${words} <${one.name()}>`).toMatch(/\w{2}/);
    for (const one of command.options) expect(one.description, `${words} ${one.flags}`).toMatch(/\w{2}/);
  }
});

test.each(pages)('commands that $path names have verbs and options that there are', (one) => {
  const lines = [...codeIn(proseOf(one)), ...one.blocks.filter(({ language }) => language === 'sh').flatMap(linesOf)];
  for (const line of lines) {
    for (const [, rest = ''] of line.matchAll(/(?:^|&& |\s|-- )entra-sync (?:-- )?(?=[\w-])([^&#]*)/g)) {
      if (rest.startsWith('VERB') || rest.startsWith('--')) continue;
      const { name, options } = readCommand(rest);
      expect(name, line).toBeDefined();
      const known = verbs.get(name ?? '')?.options.map(({ long }) => long) ?? [];
      for (const option of options) if (option !== '--help') expect(known, line).toContain(option);
    }
  }
});

/** Returns the lines of a shell block without comments. */
function linesOf({ text }: { text: string }): string[] {
  return text.split('\n').map((line) => line.replace(/(^|\s)#.*$/, ''));
}

describe('docs/operations.md', () => {
  const operations = page('docs/operations.md');

  test('explains every environment variable that the program reads, and no other', () => {
    const sources = readdirSync(packageFile('src'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.startsWith('simulator'))
      .map((path) => readFileSync(packageFile('src', path), 'utf8'))
      .join('\n');
    const [, environment = ''] = operations.text.split('\n## Environment\n');
    const [section = ''] = environment.split('\n## ');
    const told = codeIn(section).filter((code) => /^[A-Z][A-Z_]+$/.test(code));
    // Node itself reads this one.
    for (const name of told) if (name !== 'NODE_EXTRA_CA_CERTS') expect(sources, name).toContain(name);
    const read = [
      ...[...sources.matchAll(/\b(?:variables|env)\.([A-Z][A-Z_]+)\b/g)].map(([, name = '']) => name),
      ...[...sources.matchAll(/'((?:AZURE|ENTRA_SYNC|DATABASE|GRAPH|LOG)_[A-Z_]+)'/g)].map(([, name = '']) => name),
      ...[...sources.matchAll(/readSecret\([\w.]+, '([A-Z_]+)'/g)].map(([, name = '']) => `${name}_FILE`),
    ];
    expect(read.length).toBeGreaterThan(20);
    // Node's own switch, which the program sets. The variables of OpenTelemetry are under "Log and traces".
    const elsewhere = /^(OTEL_|NODE_USE_ENV_PROXY$)/;
    for (const name of new Set(read)) if (!elsewhere.test(name)) expect(told, 'docs/operations.md').toContain(name);
  });
});

describe('docs/settings.md', () => {
  const rows = tableOf(page('docs/settings.md'), 'Every setting').map(([key = '', value = '']) => ({
    key: codeIn(key)[0] ?? '',
    value: codeIn(value)[0] ?? value,
  }));
  const defaults = parse(readFileSync(packageFile('config', 'default.yaml'), 'utf8'));

  test('explains every setting, and no other', () => {
    const keys = Object.entries(documentSchema.shape).flatMap(([key, schema]) =>
      'shape' in schema ? Object.keys(schema.shape).map((inner) => `${key}.${inner}`) : [key],
    );
    expect(rows.map(({ key }) => key)).toEqual(keys);
  });

  test.each(rows)('tells the default of $key', ({ key, value }) => {
    const found = key.split('.').reduce((at, part) => at?.[part], defaults);
    if (key === 'fields') expect(value).toBe(`${Object.keys(found).length} fields`);
    else if (['credential', 'help', ...roleSettings].includes(key)) expect([value, found]).toEqual(['none', undefined]);
    else expect(parse(value)).toEqual(found);
  });
});

test('the images of deploy/kubernetes and the command of docs/upgrading.md are of the version of the package', () => {
  const overlays = ['standard', 'cronjob'].map((name) => `deploy/kubernetes/overlays/${name}/kustomization.yaml`);
  const files = [...overlays, 'deploy/kubernetes/migrate-job.yaml', 'docs/upgrading.md'];
  const named = files.map((file) =>
    [...readFileSync(packageFile(file), 'utf8').matchAll(/(?:newTag: |entra-sync:|entra-sync-)(\d+\.\d+\.\d+)/g)].map(
      ([, version]) => version,
    ),
  );
  expect(named).toEqual(files.map(() => [packageVersion()]));
});

test('CHANGELOG begins with the version of the package, in groups of Keep a Changelog', () => {
  const changelog = readFileSync(packageFile('CHANGELOG.md'), 'utf8');
  const lock = JSON.parse(readFileSync(packageFile('package-lock.json'), 'utf8'));
  const [version] = [...changelog.matchAll(/^## (\d+\.\d+\.\d+) /gm)].map(([, one]) => one);
  expect([version, lock.version, lock.packages[''].version]).toEqual(Array(3).fill(packageVersion()));
  const groups = [...changelog.matchAll(/^### (.+)$/gm)].map(([, group]) => group);
  for (const group of groups) expect(['Added', 'Changed', 'Fixed', 'Removed', 'Upgrade']).toContain(group);
});

describe('fenced blocks', () => {
  const runnable = pages.flatMap(({ path, blocks }) =>
    blocks.filter(({ language }) => language === 'sh' || language === 'sql').map((block) => ({ path, ...block })),
  );

  test('exist', () => {
    expect(runnable.length).toBeGreaterThan(10);
  });

  test.each(runnable)('$path:$line is run by a test, or says why not', ({ path, language, info, text }) => {
    const [, files = ''] = /^run-by=(\S+)$/.exec(info) ?? [];
    if (files !== '') {
      const source = files
        .split(',')
        .map((file) => readFileSync(packageFile(file), 'utf8'))
        .join('');
      // A test that runs SQL of a page reads it from there.
      if (language === 'sql') {
        expect(source).toContain(`'${path}'`);
        return;
      }
      const named = [...text.matchAll(/(?:entra-sync (?:-- )?|npm run )([a-z]+)/g)].map(([, verb = '']) => verb);
      expect(named.length).toBeGreaterThan(0);
      for (const verb of named) expect(source.includes(`'${verb}'`), `${files}: ${verb}`).toBe(true);
    } else expect(info).toMatch(/^(real-tenant|by-hand="[^"]{10,}")?$/);
  });
});
