// Breaks each rule in a copy of the tree and shows that a test fails: `npm run test:mutations [-- NAME …]`.
// A patch is caught only if the code still compiles and a test that passes without it fails with it.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { table } from '../../src/cli/layout.ts';
import { type Mutation, readMutations } from './patches.ts';

type Outcome = {
  readonly verdict: 'caught' | 'SURVIVED' | 'BROKEN';
  /** The test that failed, or the defect of the patch. */
  readonly by: string;
  readonly failed: number;
  readonly seconds: number;
};

type Report = { testResults: { name: string; assertionResults: { fullName: string; status: string }[] }[] };

const help = `Usage: npm run test:mutations [-- [--json] [--no-baseline] [NAME or RULE …]]

Applies each patch of test/mutations to a copy of the tree, runs the tests that it names, and expects one to fail.

  --json          the outcome as JSON on stdout
  --no-baseline   do not run the tests without a patch first

Examples:
  npm run test:mutations
  npm run test:mutations -- 10 11
  npm run test:mutations -- 07-purge-without-round
`;

const root = join(import.meta.dirname, '..', '..');
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, 'no-baseline': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
});

process.exitCode = flags.help ? say(help) : main(chosen(readMutations(), positionals));

function chosen(all: readonly Mutation[], words: readonly string[]): readonly Mutation[] {
  const unknown = words.filter((word) => !all.some((one) => isNamed(one, word)));
  if (unknown.length > 0) throw new Error(`no patch or rule is called ${unknown.join(', ')}`);
  return words.length === 0 ? all : all.filter((one) => words.some((word) => isNamed(one, word)));
}

function isNamed(one: Mutation, word: string): boolean {
  return one.name === word || one.rules.includes(Number(word));
}

function main(mutations: readonly Mutation[]): number {
  const copy = mkdtempSync(join(tmpdir(), 'entra-sync-mutations-'));
  try {
    copyTree(copy);
    const sound = flags['no-baseline'] || passesWithout(copy, mutations);
    if (!sound) return 1;
    const outcomes = mutations.map((mutation, index) => {
      const outcome = judge(copy, mutation);
      note(`${index + 1}/${mutations.length} ${mutation.name}: ${outcome.verdict}, ${outcome.by}`);
      return { mutation, outcome };
    });
    report(outcomes);
    return outcomes.every(({ outcome }) => outcome.verdict === 'caught') ? 0 : 1;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

// Copies the files that git sees, uncommitted ones too, and links the dependencies.
function copyTree(copy: string): void {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  for (const file of listed.toString('utf8').split('\0').filter(Boolean)) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file));
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
}

// A test that fails without a patch would seem to catch every patch.
function passesWithout(copy: string, mutations: readonly Mutation[]): boolean {
  note('the tests without any patch …');
  const tests = [...new Set(mutations.flatMap((one) => one.tests))];
  const { failed, ran } = runTests(copy, tests, undefined);
  if (failed.length === 0 && ran > 0) return true;
  note(`${failed.length} of ${ran} tests fail without any patch, so no patch can be judged: ${failed.join('; ')}`);
  return false;
}

function judge(copy: string, mutation: Mutation): Outcome {
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1000);
  const broken = (by: string): Outcome => ({ verdict: 'BROKEN', by, failed: 0, seconds: seconds() });
  const apply = (...more: string[]) => spawnSync('git', ['apply', ...more, mutation.file], { cwd: copy });
  if (apply().status !== 0) return broken('it does not apply: the code has moved, make the patch again');
  try {
    const types = spawnSync('npx', ['tsc'], { cwd: copy, encoding: 'utf8' });
    if (types.status !== 0) return broken(`it does not compile: ${types.stdout.split('\n')[0]}`);
    const { failed, ran } = runTests(copy, mutation.tests, mutation.titles);
    const [first] = failed;
    if (ran === 0) return broken('no test was run: check Tests and Titles');
    return first === undefined
      ? { verdict: 'SURVIVED', by: `all ${ran} tests pass`, failed: 0, seconds: seconds() }
      : { verdict: 'caught', by: first, failed: failed.length, seconds: seconds() };
  } finally {
    apply('--reverse');
  }
}

function runTests(
  copy: string,
  tests: readonly string[],
  titles: string | undefined,
): { failed: string[]; ran: number } {
  const outcome = join(copy, 'outcome.json');
  rmSync(outcome, { force: true });
  const only = titles === undefined ? [] : ['-t', titles];
  spawnSync(
    'npx',
    ['vitest', 'run', '--project=!deep', ...tests, ...only, '--reporter=json', `--outputFile=${outcome}`],
    { cwd: copy },
  );
  const { testResults } = JSON.parse(readFileSync(outcome, 'utf8')) as Report;
  const results = testResults.flatMap((file) => file.assertionResults);
  return {
    failed: results.filter((one) => one.status === 'failed').map((one) => one.fullName),
    ran: results.filter((one) => one.status === 'passed' || one.status === 'failed').length,
  };
}

function report(outcomes: readonly { mutation: Mutation; outcome: Outcome }[]): void {
  if (flags.json) {
    say(`${JSON.stringify(outcomes.map(({ mutation, outcome }) => ({ ...mutation, ...outcome })))}\n`);
    return;
  }
  const titles = ['rule', 'broken by', 'what goes wrong', 'verdict', 'the first test that fails', 'failing', 's'];
  const lines = outcomes.map(({ mutation: { name, rules, breaks }, outcome }) => [
    ...[rules.join(', '), name, breaks],
    ...[outcome.verdict, outcome.by, outcome.failed, outcome.seconds],
  ]);
  const shown = table(
    titles.map((title) => ({ title })),
    lines,
    { width: 160 },
  );
  const caught = outcomes.filter(({ outcome }) => outcome.verdict === 'caught').length;
  say(`${shown}\n${caught} of ${outcomes.length} patches caught\n`);
}

function say(text: string): 0 {
  process.stdout.write(text);
  return 0;
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
