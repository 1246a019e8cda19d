// `psql`: opens psql on the database. The embedded one keeps running meanwhile.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';

export function psqlCommand(): Command {
  return verb(
    'psql',
    'Open psql, which has to be installed, on the database in use. Arguments after -- go to psql.',
    ['psql', `psql -- -c "select display_name, profile->>'jobTitle' from directory.accounts limit 5"`],
    { answers: false },
  )
    .argument('[args...]', 'arguments of psql')
    .action((args: string[], options: VerbOptions) => runVerb(options, (run) => psql(run, args)));
}

async function psql(run: Run, args: string[]): Promise<number> {
  const { url } = await run.database({ anySchema: true });
  const { hostname, port, username, password, pathname, searchParams } = new URL(url);
  run.leaveInterrupts();
  const child = spawn('psql', args, {
    stdio: 'inherit',
    env: {
      ...process.env,
      // Not as arguments: every user of the machine can see those.
      PGHOST: decodeURIComponent(hostname),
      PGPORT: port || '5432',
      PGUSER: decodeURIComponent(username),
      PGPASSWORD: decodeURIComponent(password),
      PGDATABASE: decodeURIComponent(pathname.slice(1)),
      ...(searchParams.has('sslmode') && { PGSSLMODE: searchParams.get('sslmode') ?? '' }),
    },
  });
  // A Ctrl-C in the terminal reaches psql too; a SIGTERM to this process alone does not.
  run.signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  const [code] = await once(child, 'exit').catch((error: unknown) => {
    throw new ExpectedError('usage', 'psql cannot be started', {
      cure: 'install the Postgres client (postgresql-client), then run this again',
      cause: error,
    });
  });
  return typeof code === 'number' ? code : 130;
}
