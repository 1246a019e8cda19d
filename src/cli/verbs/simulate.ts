// `simulate`: serves a simulated tenant until Ctrl-C, and edits it by typed or scripted lines.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Command, InvalidArgumentError } from 'commander';
import { ExpectedError } from '../../errors.ts';
import type { Simulator, Tenant } from '../../simulator/index.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { plural } from '../format.ts';

type SimulateOptions = VerbOptions & {
  users: number;
  groups: number;
  seed: number;
  port: number;
  latency: number;
  pageSize: number;
  name: string;
  consent: boolean;
  script?: string;
};

export function simulateCommand(): Command {
  return verb(
    'simulate',
    "Serve a simulated tenant over TLS (Graph and Entra's token endpoint) until Ctrl-C, and print the environment to use.",
    [
      'simulate',
      'simulate --users 20000 --latency 200',
      'simulate --no-consent          # no administrator has consented yet: try entra-sync connect on it',
      'simulate --script edits.txt    # one edit per line: hire 3, title 5, delete 2, restore 1 …',
    ],
    { answers: false },
  )
    .option('--users <n>', 'number of users', whole(0, 500_000), 2_000)
    .option('--groups <n>', 'number of groups', whole(0, 50_000), 100)
    .option('--seed <n>', 'the same seed makes the same users', whole(0, 2 ** 31), 1)
    .option('--name <name>', 'name of the tenant', 'Contoso')
    .option('--port <n>', 'port to listen on, 0 for any free one', whole(0, 65_535), 0)
    .option('--latency <ms>', 'wait before every answer', whole(0, 60_000), 0)
    .option('--page-size <n>', 'objects on a page', whole(1, 999), 200)
    .option('--no-consent', 'start without consent; the lines consent and revoke change that')
    .option('--script <file>', 'edits to make at the start, one per line; the same lines can be typed while it runs')
    .action((options: SimulateOptions) => runVerb(options, (run) => simulate(run, options)));
}

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
  const { createTenant, startSimulator } = await import('../../simulator/index.ts');
  const tenant = createTenant({ name: options.name, seed: options.seed, users: options.users, groups: options.groups });
  if (options.script !== undefined)
    for (const line of scriptLines(options.script)) terminal.note(`# ${edit(tenant, line)}`);
  const simulator = await startSimulator({
    tenants: [tenant],
    port: options.port,
    latencyMs: options.latency,
    pageSize: options.pageSize,
    consented: options.consent,
  }).catch((error: unknown) => {
    throw new ExpectedError(
      'usage',
      `port ${options.port} cannot be used: ${error instanceof Error ? error.message : error}`,
      {
        cure: 'choose another with --port, or none for any free one',
        cause: error,
      },
    );
  });
  run.onEnd(() => simulator.close());
  const environment = simulator.environment();
  terminal.answer({ tenant: { id: tenant.tenantId, name: tenant.name }, origin: simulator.origin, environment });
  for (const [name, value] of Object.entries(environment)) terminal.print(`export ${name}='${value}'`);
  // Comments for the shell, since they are pasted with the lines above.
  const remarks = [
    `${tenant.name} with ${plural(options.users, 'user')} is served at ${simulator.origin}.`,
    'Paste these lines into another terminal, and run entra-sync sync there.',
    'Lines typed here edit the tenant at once: hire 3, title 5, clear mobilePhone 2,',
    'delete 2, restore 1, random 20. The lines consent and revoke grant and revoke',
    'consent. Ctrl-C ends it. Accounts for the sign-in of entra-sync connect:',
    ...simulator.accounts.map((one) => `  ${one.principal} (${one.says})`),
  ];
  for (const remark of remarks) terminal.note(`# ${remark}`);
  const typed = createInterface({ input: process.stdin });
  typed.on('line', (line) => {
    if (line.trim() !== '') terminal.note(consent(simulator, tenant, line.trim()) ?? edit(tenant, line));
  });
  await new Promise<void>((resolve) => run.signal.addEventListener('abort', () => resolve(), { once: true }));
  typed.close();
  terminal.note('stopped');
}

/** Grants or revokes consent, and returns the result; undefined for any other line. */
function consent({ consents }: Simulator, { tenantId, name }: Tenant, line: string): string | undefined {
  if (line !== 'consent' && line !== 'revoke') return undefined;
  if (line === 'consent') consents.grant(tenantId);
  else consents.revoke(tenantId);
  const granted = consents.granted(tenantId);
  return granted ? `${name} has consented to ${granted.join(', ')}` : `${name} has revoked its consent`;
}

/** Makes one edit, and returns its result or error. */
function edit(tenant: Tenant, line: string): string {
  try {
    return tenant.run(line);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
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
