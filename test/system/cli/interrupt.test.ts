// Ctrl-C, verb by verb: the state that it leaves, and the promise of the last line.
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli, startCli } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { openWorld, type World } from '../../support/system.ts';

async function syncedWorld() {
  const world = await openWorld({ name: 'Contoso', users: 4 });
  await world.cycle();
  return { world, environment: { ...world.simulator.environment(), DATABASE_URL: world.url } };
}

/** Starts the command, interrupts it while a request that `asks` matches waits for Graph, and returns its output. */
async function interrupted(world: World, args: string[], environment: Record<string, string>, asks: RegExp) {
  const arrived = Promise.withResolvers<void>();
  const release = world.simulator.intercept(({ url }) => {
    if (!asks.test(url)) return undefined;
    arrived.resolve();
    return { hang: true };
  });
  const running = startCli(args, environment);
  await arrived.promise;
  running.interrupt();
  const ended = await running.ended;
  release();
  return ended;
}

const verbs = [
  { args: ['verify'], asks: /\/users\?/, says: /nothing was changed; run the command again/ },
  { args: ['sync', '--user', 'somebody@contoso.example'], asks: /\/users\//, says: /it reads the user again$/ },
  { args: ['sync', '--dry-run'], asks: /\/users\/delta/, says: /it starts over$/ },
];

const few = rowsOf(verbs, (_, n) => n === 1);

test.each(few)('during $args it names the cure, and promises no resumption', async ({ args, asks, says }) => {
  const { world, environment } = await syncedWorld();
  const line = expectOneLine(await interrupted(world, args, environment, asks), 130, says);
  expect(line).toContain('interrupted; nothing half done is visible -> ');
  expect(line).not.toContain('resumes');
});

test.runIf(isDeep)('during a reconnect it names sync, which resumes', async () => {
  const { world, environment } = await syncedWorld();
  const managed = () => rows(world.database, "select from directory.accounts where state = 'managed'");
  expect((await runCli(['tenant', 'disconnect', 'Contoso'], environment)).code).toBe(0);
  const ended = await interrupted(world, ['tenant', 'reconnect', 'Contoso'], environment, /\/users\/delta/);
  expectOneLine(ended, 130, /-> entra-sync sync TENANT resumes where it stopped$/);
  expect(await managed()).toHaveLength(0);
  expect((await runCli(['sync', 'Contoso'], environment)).code).toBe(0);
  expect(await managed()).toHaveLength(4);
});
