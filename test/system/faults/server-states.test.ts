// The database server at its limits, with whole commands and workers: they print one line with the cure, no tenant is
// delayed for it, and everything heals by itself.
import { expect, onTestFinished, test } from 'vitest';
import { type Database, openDatabase, rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { openFleet, stopWorker, untilCycles } from '../../support/fleet.ts';
import { expectTruth } from '../../support/system.ts';

// Processes are slow to start where much else runs.
/** Sets something for new connections to the database; undone at the end. */
async function setForDatabase(database: Database, setting: string, value: string): Promise<() => Promise<void>> {
  const [{ name } = { name: '' }] = await rows<{ name: string }>(database, 'select current_database() as name');
  const server = openDatabase(
    String(database.client.config.connection.connectionString).replace(/\/[^/]*$/, '/postgres'),
  );
  const reset = () => server.raw(`alter database ${name} reset ${setting}`).then(() => {});
  await server.raw(`alter database ${name} set ${setting} = ${value}`);
  onTestFinished(async () => {
    await reset();
    await server.destroy();
  });
  return reset;
}

/** From now on each new account runs this. */
async function onNewAccount(database: Database, does: string): Promise<() => Promise<void>> {
  await database.raw(`
    create function public.limited() returns trigger language plpgsql as $$ begin ${does}; return new; end $$;
    create trigger limited before insert on entra_sync.accounts for each row execute function public.limited()`);
  return async () => void (await database.raw('drop trigger limited on entra_sync.accounts'));
}

const diskFull = "raise exception 'could not extend file: No space left on device' using errcode = '53100'";

/** Checks the tenants' rows: a state of the server must not appear as an error of a tenant. */
const standings = (database: Database) =>
  rows(
    database,
    `select status, failures, last_error_code, next_cycle_at between clock_timestamp() + interval '30 s' and clock_timestamp() + interval '120 s' as soon
       from entra_sync.tenants order by tenant_id`,
  );

test('rule 21: statement_timeout: sync ends with 7, names its value and cure, the tenant is tried again soon, and a sync without it works as always', async () => {
  const fleet = await openFleet({ count: 1, users: 3 });
  const { database, environment, tenants } = fleet;
  const reset = await setForDatabase(database, 'statement_timeout', "'2s'");
  const lift = await onNewAccount(database, 'perform pg_sleep(600)');
  const line = expectOneLine(
    await runCli(['sync'], environment),
    7,
    /its statement_timeout \(2s\) -> alter role ROLE in database NAME set/,
  );
  expect(line).not.toContain('defect');
  expect(await standings(database)).toEqual([{ status: 'pending', failures: 0, last_error_code: null, soon: true }]);
  expect(await fleet.cycles()).toMatchObject([{ error_code: 'database_unable' }]);
  const shown = (await runCli(['status'], environment)).stdout;
  expect(shown).toMatch(/Tenant 1: the database stopped the last cycle: users: .*statement_timeout \(2s\)/);
  await lift();
  await reset();
  expect((await runCli(['sync'], environment)).code).toBe(0);
  const [tenant] = tenants;
  if (tenant) await expectTruth(tenant, database);
});

test.each(['sync', 'resync'])('rule 21: a full disk: %s over several tenants stops at the first', async (verb) => {
  const fleet = await openFleet({ count: 3, users: 2 });
  await onNewAccount(fleet.database, diskFull);
  const ended = await runCli([verb, '--json'], fleet.environment);
  expectOneLine(ended, 7, /Tenant 1, users: the disk of the database is full -> free disk space/);
  expect(ended.stderr).toContain('2 tenants not tried: the database would stop them too');
  const answer = JSON.parse(ended.stdout);
  expect(answer.not_tried.map(({ name }: { name: string }) => name)).toEqual(['Tenant 2', 'Tenant 3']);
  expect(await fleet.cycles()).toHaveLength(1);
});

test('rule 21: a read-only database: sync and doctor name it, and work once it accepts writes', async () => {
  const fleet = await openFleet({ count: 1, users: 2 });
  const reset = await setForDatabase(fleet.database, 'default_transaction_read_only', 'on');
  expectOneLine(
    await runCli(['sync'], fleet.environment),
    7,
    /takes no writes.* -> .*default_transaction_read_only = off/,
  );
  const doctor = await runCli(['doctor', '--json'], fleet.environment);
  expect(doctor.code).toBe(7);
  expect(JSON.parse(doctor.stdout).checks[0]).toMatchObject({
    check: 'database',
    state: 'failed',
    code: 'database_unable',
    message: expect.stringMatching(/takes no writes \(transaction_read_only is on\)/),
  });
  await reset();
  expect((await runCli(['sync'], fleet.environment)).code).toBe(0);
});

test('rule 21: a full disk: the worker reports it without a stack, lives on, puts no tenant into quarantine, and resumes when there is room', async () => {
  const fleet = await openFleet({ count: 2, users: 2 });
  const { database } = fleet;
  const lift = await onNewAccount(database, diskFull);
  const worker = fleet.worker();
  // As often as it would take to put a tenant into quarantine.
  for (let times = 1; times <= 3; times += 1) {
    await untilCycles(fleet, times * 2);
    expect(await standings(database)).toEqual(
      fleet.tenants.map(() => ({ status: 'pending', failures: 0, last_error_code: null, soon: true })),
    );
    if (times < 3) await fleet.makeDue();
  }
  await lift();
  await fleet.makeDue();
  await untilCycles(fleet, 8);
  for (const tenant of fleet.tenants) await expectTruth(tenant, database);
  const { stderr, code } = await stopWorker(worker);
  expect(code).toBe(0);
  const lines = stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
  expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
  const told = lines.filter((line) => line.msg === 'cycle failed');
  expect(told).toHaveLength(6);
  for (const line of told)
    expect(line).toMatchObject({ level: 'warn', code: 'database_unable', cure: expect.stringContaining('disk') });
  expect(stderr).not.toContain('stack');
});
