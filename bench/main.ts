// `npm run bench`: one command, one report. Ratios within one run: machines are noisy, so no time is ever judged alone.
import { readFileSync, writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Case } from './case.ts';
import { cases } from './cases.ts';
import { large, small } from './directory.ts';
import { buildContenders, openPostgres } from './ground.ts';
import { asMarkdown, asText, type Section } from './report.ts';

const results = new URL('RESULTS.md', import.meta.url);

const program = new Command('bench')
  .description(
    'Measures entra-sync against the floor, against what one would write by hand, and against a peer, on the same simulated\ndata and in the same run. Needs nothing but npm; DATABASE_URL names a server other than the embedded one.',
  )
  .argument('[cases...]', `which to measure (default: all): ${Object.keys(cases).join(', ')}`)
  .option('--large', '100,000 people, 10,000 groups, 1,000,000 memberships instead of 20,000, 1,000, 200,000')
  .addOption(
    new Option('--times <n>', 'how often each contender runs, one after the other in turn; medians count')
      .default(3)
      .argParser(wholeNumber),
  )
  .option('--write', 'puts the report into bench/RESULTS.md, in place of the one of this size')
  .option('--json', 'prints the report as JSON')
  .addHelpText(
    'after',
    '\nExamples:\n  npm run bench\n  npm run bench -- initial later --times 5\n  npm run bench -- --large --write\n',
  )
  .action(async (names: string[], options: { large?: true; times: number; write?: true; json?: true }) => {
    const unknown = names.filter((name) => !(name in cases));
    if (unknown.length > 0)
      program.error(`bench: no case ${unknown.join(', ')} -> one of ${Object.keys(cases).join(', ')}`);
    const chosen = Object.entries(cases).filter(([name]) => names.length === 0 || names.includes(name));
    const sections = await measure(chosen, options.large === true, options.times);
    process.stdout.write(options.json ? `${JSON.stringify(sections, null, 2)}\n` : asText(sections));
    if (options.write) write(sections, options.large === true, commandOf(names, options));
  });

await program.parseAsync();

function wholeNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('a whole number above 0 is needed.');
  return Number(text);
}

async function measure(chosen: [string, Case][], isLarge: boolean, times: number): Promise<Section[]> {
  await buildContenders();
  const postgres = await openPostgres();
  const sections: Section[] = [];
  try {
    for (const [name, run] of chosen) {
      const note = (line: string) => process.stderr.write(`${name}: ${line}\n`);
      try {
        sections.push(await run({ postgres, size: isLarge ? large : small, isLarge, times, note }));
      } catch (error) {
        // What the other cases found is not lost with it.
        note(`failed: ${String(error)}`);
        process.exitCode = 1;
      }
    }
  } finally {
    await postgres.close();
  }
  return sections;
}

function commandOf(names: string[], { large, times }: { large?: true; times: number }): string {
  const options = [...names, ...(large ? ['--large'] : []), ...(times === 3 ? [] : [`--times ${times}`]), '--write'];
  return `npm run bench -- ${options.join(' ')}`;
}

// Each size has its own part of the file, so that one run does not wipe out what the other one took an hour to find.
function write(sections: Section[], isLarge: boolean, command: string): void {
  const name = isLarge ? 'large' : 'small';
  const before = readFileSync(results, 'utf8');
  const part = new RegExp(`(<!-- ${name} -->\n).*?(<!-- /${name} -->)`, 's');
  writeFileSync(
    results,
    before.replace(part, (_, open, end) => `${open}${asMarkdown(sections, command)}${end}`),
  );
}
