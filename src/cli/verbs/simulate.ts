// `simulate`: serves simulated tenants until Ctrl-C, and edits them by typed or scripted lines.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Command, InvalidArgumentError } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import type { Simulator, Tenant } from '../../simulator/index.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { plural } from '../format.ts';
import { loadSimulator } from './load-simulator.ts';
import { runLine } from './simulate-edits.ts';

type SimulateOptions = VerbOptions & {
  users: number;
  groups: number;
  seed: number;
  port: number;
  latency: number;
  pageSize: number;
  name: string;
  tenants: number;
  consent: boolean;
  script?: string;
  host?: string;
  directory?: string;
  clientId?: string;
  clientSecret?: string;
  ops?: string;
};

export function simulateCommand(): Command {
  return verb(
    'simulate',
    "Serve simulated tenants over TLS (Graph and Entra's token endpoint) until Ctrl-C, and print the environment to use.",
    [
      'simulate',
      'simulate --users 20000 --latency 200',
      'simulate --no-consent          # no administrator has consented yet: try entra-sync connect on it',
      'simulate --tenants 20 --users 100   # Contoso, Contoso 2, Contoso 3 …',
      'simulate --host entra.localhost --port 8443 --directory certificates   # for others than this machine',
      'simulate --script edits.txt    # one edit per line: hire 3, title ann@contoso.example CEO, restore 1 … (help lists them)',
    ],
    { answers: false },
  )
    .option('--users <n>', 'number of users', whole(0, 500_000), 2_000)
    .option('--groups <n>', 'number of groups', whole(0, 50_000), 100)
    .option('--seed <n>', 'the same seed makes the same users', whole(0, 2 ** 31), 1)
    .option('--name <name>', 'name of the tenant', 'Contoso')
    .option('--tenants <n>', 'number of tenants, each with as many users and groups', whole(1, 1_000), 1)
    .option('--port <n>', 'port to listen on, 0 for any free one', whole(0, 65_535), 0)
    .option('--latency <ms>', 'wait before every answer', whole(0, 60_000), 0)
    .option('--page-size <n>', 'objects on a page', whole(1, 999), 200)
    .option('--no-consent', 'start without consent; the lines consent and revoke change that')
    .option('--host <name>', 'the name by which others reach it, such as that of its container; default: localhost')
    .option('--directory <folder>', 'where its certificate goes, authority.pem; default: a temporary folder')
    .option('--client-id <id>', 'the id of the simulated application; default: a random one')
    .option('--client-secret <secret>', 'the secret of the simulated application, no real one; default: a random one')
    .option('--ops <user>', 'a sign-in name with the role Ops.Act; sign-ins tell directory roles too')
    .option('--script <file>', 'edits to make at the start, one per line; the same lines can be typed while it runs')
    .action((options: SimulateOptions) => runVerb(options, (run) => simulate(run, options)));
}

const mostObjects = 1_000_000;

function whole(least: number, most: number) {
  return (text: string) => {
    const value = Number(text);
    if (!/^\d{1,12}$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`a whole number from ${least} to ${most} is needed`);
    }
    return value;
  };
}

async function simulate(run: Run, options: SimulateOptions): Promise<undefined> {
  const { terminal } = run;
  if (options.tenants * (options.users + options.groups) > mostObjects) {
    throw new ExpectedError('usage', 'more than a million users and groups together would be simulated', {
      cure: 'give fewer --tenants, --users or --groups',
    });
  }
  const { createTenant, startSimulator } = await loadSimulator();
  const tenants = Array.from({ length: options.tenants }, (_, index) =>
    createTenant({
      name: index === 0 ? options.name : `${options.name} ${index + 1}`,
      ...{ seed: options.seed + index, users: options.users, groups: options.groups },
    }),
  );
  if (options.script !== undefined)
    for (const line of scriptLines(options.script)) terminal.note(commented(runLine(undefined, tenants, line)));
  const simulator = await startSimulator({
    tenants,
    port: options.port,
    latencyMs: options.latency,
    pageSize: options.pageSize,
    consented: options.consent,
    ...(options.host !== undefined && { host: options.host }),
    ...(options.directory !== undefined && { directory: options.directory }),
    ...(options.clientId !== undefined && { clientId: options.clientId }),
    ...(options.clientSecret !== undefined && { clientSecret: options.clientSecret }),
    ...(options.ops !== undefined && { appRoles: { [options.ops]: ['Ops.Act'] }, directoryRoles: true }),
  }).catch((error: unknown) => {
    throw new ExpectedError(
      'usage',
      `${options.host ?? 'localhost'}:${options.port} cannot be listened on: ${error instanceof Error ? error.message : error}`,
      {
        cure: 'choose another with --port, or none for any free one; a --host has to lead to this machine',
        cause: error,
      },
    );
  });
  run.onEnd(() => simulator.close());
  const environment = simulator.environment();
  const described = tenants.map(({ tenantId: id, name }) => ({ id, name }));
  terminal.answer({ tenant: described[0], tenants: described, origin: simulator.origin, environment });
  for (const [name, value] of Object.entries(environment)) terminal.print(`export ${name}='${value}'`);
  // Comments for the shell, since they are pasted with the lines above.
  const names = tenants.length > 1 ? `${plural(tenants.length, 'tenant')}, each` : options.name;
  const remarks = [
    `${names} with ${plural(options.users, 'user')}, served at ${simulator.origin}.`,
    'Paste these lines into another terminal, and run entra-sync sync there.',
    ...others(tenants),
    'Lines typed here edit the tenant at once: hire 3, title 5, clear mobilePhone 2,',
    'delete 2, restore 1, random 20, or by name: title USER Clerk. help lists them all.',
    'The lines consent and revoke grant and revoke consent. Ctrl-C ends it.',
    'Accounts for the sign-in of entra-sync connect:',
    ...signIns(simulator, tenants),
  ];
  for (const remark of remarks) terminal.note(`# ${remark}`);
  const typed = createInterface({ input: process.stdin });
  typed.on('line', (line) => {
    if (line.trim() !== '') terminal.note(runLine(simulator.consents, tenants, line.trim()));
  });
  await new Promise<void>((resolve) => run.signal.addEventListener('abort', () => resolve(), { once: true }));
  typed.close();
  terminal.note('stopped');
}

// The environment names the first tenant, which sync registers by itself.
function others(tenants: readonly Tenant[]): string[] {
  if (tenants.length === 1) return [];
  return [
    'The first tenant is registered by its first sync, the others by these commands:',
    ...tenants.slice(1).map(({ tenantId, name }) => `  entra-sync tenant add ${tenantId} --name ${commandWord(name)}`),
  ];
}

// Output before the environment is pasted with it.
const commented = (text: string) => text.replaceAll(/^/gm, '# ');

const shownTenants = 2;

function signIns({ accounts }: Simulator, tenants: readonly Tenant[]): string[] {
  const shown = new Set(tenants.slice(0, shownTenants).map(({ tenantId }) => tenantId));
  const all = new Set(tenants.map(({ tenantId }) => tenantId));
  const lines = accounts
    .filter(({ tenantId }) => shown.has(tenantId) || !all.has(tenantId))
    .map((one) => `  ${one.principal} (${one.says})`);
  return tenants.length > shownTenants ? [...lines, '  … and the same of each other tenant'] : lines;
}

function scriptLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch (error) {
    throw new ExpectedError('usage', `${path} cannot be read`, {
      cure: 'check the path given to --script',
      cause: error,
    });
  }
}
