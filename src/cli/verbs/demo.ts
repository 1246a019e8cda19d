// `demo`: a short story on a simulated tenant and the embedded database.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, relative } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { openBasics } from '../../app.ts';
import type { CycleResult } from '../../engine/cycle.ts';
import { ExpectedError } from '../../errors.ts';
import { shellWord } from '../../rules/shell.ts';
import type { Simulator } from '../../simulator/index.ts';
import { type Database, openDatabase } from '../../store/database/pool.ts';
import { markAsDemo } from '../../store/embedded/demo-mark.ts';
import { openEmbedded } from '../../store/embedded/embedded.ts';
import { type ChangeRow, readChanges } from '../../store/feed/changes.ts';
import { migrate } from '../../store/schema/migrate.ts';
import { type AccountRow, readAccount } from '../../store/tenants/status.ts';
import { addTenant } from '../../store/tenants/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { cycleTable } from '../cycle-report.ts';
import { count } from '../format.ts';
import { table } from '../layout.ts';
import { parsePort } from '../port.ts';
import { changeTable } from './changes.ts';
import { tellBanner } from './demo-banner.ts';
import { editTenant, nestedGroups } from './demo-edits.ts';
import { tellOwnership } from './demo-ownership.ts';
import { createVendor, liveOn, requirePorts, requireTrust } from './demo-web.ts';
import { loadSimulator } from './load-simulator.ts';

type DemoOptions = VerbOptions & {
  users: number;
  web?: boolean;
  port: number;
  signInPort: number;
  every: number;
};

export function demoCommand(): Command {
  return verb(
    'demo',
    'See it work in under a minute: a simulated tenant, real cycles, an embedded Postgres. Needs no account and no server.',
    ['demo', 'demo --users 20000', 'demo --web      # goes on, and shows it live in a browser'],
    { answers: false },
  )
    .option('--users <n>', 'the number of users of the simulated tenant', users, 2_000)
    .option('--web', 'then serve the web until Ctrl-C, beside a tenant that changes and is synced every few seconds')
    .option('--port <n>', 'with --web the port of the entrance without a sign-in', parseOwnPort, 8081)
    .option('--sign-in-port <n>', 'with --web the port of the entrance by a simulated sign-in', parseOwnPort, 8082)
    .option('--every <seconds>', 'with --web the time between two edits of the tenant', seconds, 5)
    .action((options: DemoOptions) => runVerb(options, (run) => demo(run, options)));
}

function users(text: string): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) < 20)
    throw new InvalidArgumentError('a whole number from 20 to 999999 is needed');
  return Number(text);
}

function parseOwnPort(text: string): number {
  const port = parsePort(text);
  if (port === 0) throw new InvalidArgumentError('the pages know their own address, so it cannot be any free one');
  return port;
}

function seconds(text: string): number {
  if (!/^\d{1,4}$/.test(text) || Number(text) < 1)
    throw new InvalidArgumentError('a whole number from 1 to 9999 is needed');
  return Number(text);
}

async function demo(run: Run, options: DemoOptions): Promise<undefined> {
  const { terminal, environment } = run;
  if (environment.databaseUrl !== undefined) {
    throw new ExpectedError('usage', 'the demo uses its own embedded database, never the one of DATABASE_URL', {
      cure: 'run it as: env -u DATABASE_URL npm run demo',
    });
  }
  if (options.web) {
    requireTrust();
    if (options.port === options.signInPort) {
      throw new ExpectedError('usage', 'the two entrances cannot share a port', {
        cure: 'give --port and --sign-in-port another number each',
      });
    }
    await requirePorts([
      ['--port', options.port, '127.0.0.1'],
      ['--sign-in-port', options.signInPort, 'localhost'],
    ]);
  }
  const home = join(environment.home, 'demo');
  terminal.say('entra-sync demo: a simulated Entra ID tenant, real cycles over TLS, an embedded Postgres.\n');
  const { createTenant, startSimulator } = await loadSimulator();
  const tenant = createTenant({
    name: 'Contoso',
    seed: 7,
    users: options.users,
    groups: Math.max(4, Math.ceil(options.users / 20)),
    deletedUsers: 5,
  });
  const vendor = options.web ? await createVendor() : undefined;
  const simulator = await startSimulator({ tenants: [tenant, ...(vendor ? [vendor] : [])] });
  run.onEnd(() => simulator.close());
  const server = await openEmbedded({ home, fresh: true, signal: run.signal });
  run.onEnd(() => server.close());
  run.signal.throwIfAborted();
  const { defaults } = openBasics(environment);
  await migrate(server.url, defaults, {}, run.signal);
  const database = openDatabase(server.url);
  run.onEnd(() => database.destroy());
  await markAsDemo(database);
  await addTenant(database, { tenantId: tenant.tenantId, name: tenant.name, ref: 'demo-customer' }, defaults);
  const shell = { run, simulator, home };

  terminal.say(
    `1. ${tenant.name}, ${count(options.users)} users, is served at ${simulator.origin}. The first cycle lists them quickly, then reads them by delta:`,
  );
  const cycles = await sync(shell);
  const first = new Set(cycles.map((one) => one.cycleId));
  const people = tenant.users();
  const guests = people.filter((one) => one.properties.userType === 'Guest').length;
  const [promoted, unlisted, leaver] = [
    people[2],
    people.find((one) => one.properties.mobilePhone && one !== people[2]),
    people[5],
  ];
  if (!promoted || !unlisted || !leaver) throw new Error('the simulated tenant has too few users');
  const before = await readAccount(database, tenant.tenantId, promoted.id);
  const groups = nestedGroups(tenant);

  terminal.say('\n2. Meanwhile in Entra ID, an administrator edits users:');
  for (const line of editTenant(tenant, groups, [promoted.id, unlisted.id, leaver.id])) terminal.say(`   - ${line}`);
  terminal.say('   The second cycle asks only for what changed:');
  cycles.push(...(await sync(shell)));
  terminal.say(
    `\n3. The deleted user is restored in Entra ID within 30 days. The third cycle restores the same account:`,
  );
  tenant.restoreUser(leaver.id);
  cycles.push(...(await sync(shell)));
  const named = { tenant_id: tenant.tenantId, name: tenant.name, external_ref: null, status: 'active', paused: false };
  const changes = await interestingChanges(database, first);
  const after = await readAccount(database, tenant.tenantId, promoted.id);
  const told = cycles.map((result) => ({ tenant: named, result }));
  terminal.say(`\nWhat happened so far\n${cycleTable(told, 2)}`);
  if (guests > 0)
    terminal.say(
      `  Of the ${count(options.users)} users ${count(guests)} are guests, who are outside the scope unless the settings say otherwise.`,
    );
  terminal.say(
    `\nWhat changed after the first cycle (directory.changes, by cycle and kind)\n${changeTable(changes.toSorted(inOrder), { indent: 2, namesActors: false })}`,
  );
  if (before && after) terminal.say(`\nOne account (directory.accounts)\n${accountTable(before, after)}`);
  if (!after) throw new Error('the account of the demo is missing');
  const story = {
    say: terminal.say,
    database,
    defaults,
    tenant,
    person: { entraObjectId: promoted.id, accountId: after.account_id, name: after.display_name ?? '' },
    command: (words: readonly string[]) => command(shell, words),
  };
  cycles.push(...(await tellOwnership(story)));
  cycles.push(...(await tellBanner({ ...story, group: groups[0].id, excepted: unlisted.id })));
  terminal.answer({ cycles, changes, account: { before, after } });
  terminal.say('\nLook further');
  const [manager, excepted] = [promoted, unlisted].map(({ properties }) => String(properties.userPrincipalName));
  for (const line of furtherCommands(relative(process.cwd(), home) || home, {
    manager,
    excepted,
    live: vendor !== undefined,
  }))
    terminal.print(`  ${line}`);
  if (!vendor) return;
  const { port, signInPort, every } = options;
  await liveOn({
    ...{ run, simulator, tenant, vendor, database, databaseUrl: server.url, port, signInPort, every },
    manager: promoted.id,
  });
}

type Shell = { run: Run; simulator: Simulator; home: string };

async function sync(shell: Shell): Promise<CycleResult[]> {
  const { cycles } = (await command(shell, ['sync'])) as { cycles: CycleResult[] };
  if (cycles.length === 0) throw new Error('the cycle of the demo returned no result');
  return cycles;
}

// A process of its own, since Node reads NODE_EXTRA_CA_CERTS, for the simulator's certificate, only at its start.
async function command({ run, simulator, home }: Shell, words: readonly string[]): Promise<unknown> {
  run.terminal.say(`   $ entra-sync ${words.join(' ')}`);
  const program = process.argv[1];
  if (program === undefined) throw new Error('the program does not know its own path');
  const child = spawn(process.execPath, [...process.execArgv, program, ...words, '--json'], {
    env: { ...process.env, ...simulator.environment(), ENTRA_SYNC_HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  // A Ctrl-C in the terminal reaches the child too; a signal to this process alone does not.
  const stop = () => child.kill('SIGINT');
  run.signal.addEventListener('abort', stop, { once: true });
  const [code] = await once(child, 'close');
  run.signal.removeEventListener('abort', stop);
  run.signal.throwIfAborted();
  if (code !== 0) throw new Error(`entra-sync ${words.join(' ')} of the demo ended with exit code ${code}`);
  return JSON.parse(text);
}

/** Returns the changes without the many rows of the first cycle. */
async function interestingChanges(database: Database, first: ReadonlySet<string | null>) {
  const all = [];
  for (let position: string | null = null; ; ) {
    const page = await readChanges(database, position, 10_000);
    const last = page.at(-1);
    if (!last) return all;
    all.push(...page.filter((change) => !first.has(change.cycle_id)));
    position = last.position;
  }
}

// The streams of a cycle are committed at the same time, so the feed has them in another order each time.
function inOrder(one: ChangeRow, other: ChangeRow): number {
  const keyOf = ({ cycle_id: cycle, kind, display_name: name }: ChangeRow) =>
    [(cycle ?? '').padStart(20, '0'), kind.split('.')[0], kind, name ?? ''].join('\t');
  return keyOf(one).localeCompare(keyOf(other), 'en');
}

function accountTable(before: AccountRow, after: AccountRow): string {
  const fields = [...new Set([...Object.keys(before.profile), ...Object.keys(after.profile)])].sort();
  const text = (value: unknown) =>
    value === undefined || value === null ? '' : Array.isArray(value) ? value.join(', ') : String(value);
  return table(
    [{ title: 'field' }, { title: 'after the first cycle' }, { title: 'now' }],
    [
      ['account_id', before.account_id, after.account_id === before.account_id ? '(the same)' : after.account_id],
      ['account state', before.state, after.state === before.state ? '' : after.state],
      ...fields.map((field) => {
        const [old, now] = [text(before.profile[field]), text(after.profile[field])];
        return [field, old, now === old ? '' : now || '(none)'];
      }),
    ],
    { indent: 2 },
  );
}

function furtherCommands(
  home: string,
  { manager, excepted, live }: { manager: string | undefined; excepted: string | undefined; live: boolean },
): string[] {
  const program = process.argv[1]?.endsWith('.ts') ? 'npm run -s entra-sync --' : 'npx entra-sync';
  // `rm -r` of a path with a blank would delete another folder.
  const place = /^[\w./][\w./-]*$/.test(home) ? home : shellWord(home);
  const command = `ENTRA_SYNC_HOME=${place} ${program}`;
  return [
    `${command} status`,
    `${command} changes --limit 50`,
    `${command} assignments explain ${excepted} banner`,
    `${command} psql -- -c "select display_name, profile->>'jobTitle' as title from directory.accounts limit 5"`,
    `${command} psql -- -c "select g.display_name, count(*) from directory.effective_memberships join directory.groups g using (group_id) group by 1 order by 2 desc limit 5"`,
    `${program} simulate      # a tenant to play with: edit it, sync it`,
    `rm -r ${place}      # deletes the database of the demo, which stays until then`,
    `${program} --help        # for a real tenant, see README.md, "Connect a real tenant"`,
    // `--web` serves by itself, on the same port.
    ...(live
      ? []
      : [
          `${command} web --local --as ${manager}      # the portal, as this person sees it: the own page, the team`,
          `${command} web --local      # shows all of this in a browser`,
        ]),
  ];
}
