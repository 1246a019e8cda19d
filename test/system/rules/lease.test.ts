// Rules 1, 2, 11, 12, 18 and 21 in whole cycles: one transaction, one cycle at a time, crashes, what is kept and said.
import { expect, test } from 'vitest';
import { ExpectedError } from '../../../src/errors.ts';
import { openDatabase, rows } from '../../../src/store/database/pool.ts';
import { readStatus } from '../../../src/store/tenants/status.ts';
import {
  accountsOf,
  bufferLog,
  committedState,
  expectTruth,
  failureOf,
  interruption,
  isDeltaRequest,
  openWorld,
  type World,
} from '../../support/system.ts';

const people = async (world: World) => Object.keys(await accountsOf(world.database, world.tenant.tenantId)).length;
const state = (world: World) => committedState(world.database, world.tenant.tenantId);

/** Runs `then` when the n-th request to users/delta arrives, before it is answered. */
function onPage(world: World, nth: number, then: () => unknown): () => void {
  let page = 0;
  return world.simulator.intercept(async ({ url }) => {
    if (isDeltaRequest(url)) {
      page += 1;
      if (page === nth) await then();
    }
    return undefined;
  });
}

test('rules 1 and 12: a connection that dies in the commit moves nothing, and the next cycle asks for no page again', async () => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  const before = await state(world);
  const blocker = openDatabase(world.url, { applicationName: 'blocker' });
  const victim = openDatabase(world.url, { applicationName: 'victim' });
  const blocking = await blocker.transaction();
  // The same lock as a commit's; the key locks of earlier statements are granted.
  await blocking.raw('select from entra_sync.tenants for no key update');
  // Every commit waits for the tenant's row, where it is cut off, until the cycle has given up.
  let settled = false;
  const cut = async (): Promise<void> => {
    await world.database.raw(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'victim' and wait_event_type = 'Lock' and datname = current_database()`,
    );
    if (!settled) return cut();
  };
  const failed = world.cycle({ through: victim }).finally(() => {
    settled = true;
  });
  await Promise.all([expect(failed).rejects.toThrow(), cut()]);
  await blocking.rollback();
  expect(await state(world)).toBe(before);
  await Promise.all([victim.destroy(), blocker.destroy()]);
  world.simulator.clearRequests();
  await world.cycle();
  expect(world.deltaRequests()).toEqual([]);
  await expectTruth(world.tenant, world.database, []);
});

test('rule 2: readers see nothing of a round before its commit', async () => {
  const world = await openWorld({ simulator: { pageSize: 2 } });
  const seen: number[] = [];
  for (const page of [1, 3, 6]) onPage(world, page, async () => seen.push(await people(world)));
  await world.cycle({ onProgress: () => {} });
  expect(seen).toEqual([0, 0, 0]);
  expect(await people(world)).toBe(12);
});

test('rule 11: the second of two cycles at the same time is refused, since the first one runs', async () => {
  const world = await openWorld({ simulator: { pageSize: 3 } });
  const both = await Promise.allSettled([world.cycle(), world.cycle()]);
  const refused = both.filter((one) => one.status === 'rejected');
  expect(refused).toHaveLength(1);
  expect(refused[0]?.reason).toMatchObject({ code: 'cycle_running' });
  expect(await rows(world.database, 'select outcome from entra_sync.cycles')).toEqual([{ outcome: 'committed' }]);
  await expectTruth(world.tenant, world.database, []);
});

/** One cycle, tried until no transaction of the other worker holds the fence. */
async function takeOver(world: World): Promise<void> {
  const error = await world.cycle().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ExpectedError && error.code === 'cycle_running') return takeOver(world);
  if (error) throw error;
}

test('rule 11: a worker that lost its lease can stage and commit nothing more', async () => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  const other = Promise.withResolvers<void>();
  const goOn = async () => {
    // As if its machine had slept: the lease expires and another worker continues.
    await world.database.raw('update entra_sync.heartbeats set expires_at = clock_timestamp()');
    off();
    await takeOver(world);
    world.tenant.updateUser(world.tenant.users()[0]?.id ?? '', { jobTitle: 'Captain' });
    await world.cycle();
  };
  const off = onPage(world, 3, () => goOn().then(other.resolve, other.reject));
  expect(await failureOf(world.cycle())).toMatchObject({ code: 'lease_lost' });
  // The first worker may be refused before the other one is done.
  await other.promise;
  await expectTruth(world.tenant, world.database, []);
  const cycles = await rows(world.database, 'select outcome, error_code from entra_sync.cycles order by cycle_id');
  expect(cycles).toEqual([
    // Groups may have been committed before.
    { outcome: expect.stringMatching(/^(failed|partial)$/), error_code: 'cut_off' },
    { outcome: 'committed', error_code: null },
    { outcome: 'committed', error_code: null },
  ]);
});

test('rule 12: after a crash the next cycle asks for no page that was staged', async () => {
  const world = await openWorld({ simulator: { pageSize: 2 } });
  const stop = new AbortController();
  onPage(world, 5, () => stop.abort(interruption()));
  expect(await failureOf(world.cycle({ signal: stop.signal }))).toMatchObject({ code: 'interrupted' });
  const [round] = await rows<{ pages: number; resume_link: string }>(
    world.database,
    "select pages, resume_link from entra_sync.rounds where stream = 'users'",
  );
  expect(round?.pages).toBeGreaterThanOrEqual(1);
  world.simulator.clearRequests();
  const { streams } = await world.cycle();
  expect(world.deltaRequests()[0]).toBe(round?.resume_link.slice(world.simulator.origin.length));
  expect(world.deltaRequests()).toHaveLength(6 - Number(round?.pages));
  expect(streams.users).toMatchObject({ pages: 6, created: 12 });
  await expectTruth(world.tenant, world.database, []);
});

test('a dry run keeps nothing, whether it ends or is stopped', async () => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  const before = await state(world);
  const dryRun = await world.cycle({ dryRun: true });
  expect(dryRun).toMatchObject({ outcome: 'dry_run', cycleId: null, streams: { users: { created: 12 } } });
  expect(dryRun.sample).toHaveLength(12);
  const stop = new AbortController();
  onPage(world, 2, () => stop.abort(interruption()));
  await failureOf(world.cycle({ dryRun: true, signal: stop.signal }));
  expect(await state(world)).toBe(before);
  for (const table of ['rounds', 'stage_users', 'stage_pages', 'cycles', 'batches', 'changes']) {
    expect(await rows(world.database, `select * from entra_sync.${table}`), table).toEqual([]);
  }
});

test('rule 18: log, errors and rows hold no secret, no token, no name and no address that does not belong there', async () => {
  const world = await openWorld({ simulator: { pageSize: 4, repeats: 0.5 }, deletedUsers: 2 });
  const { log, text } = bufferLog();
  const errors: unknown[] = [];
  const tokens = new Set<string>();
  const links = new Set<string>();
  world.simulator.transform((_request, body) => {
    const { access_token: token, '@odata.nextLink': next, '@odata.deltaLink': delta } = body as Record<string, string>;
    if (token) tokens.add(token);
    for (const link of [next, delta]) if (link) links.add(link.slice(link.indexOf('token=') + 6));
    return body;
  });
  const cycle = () => world.cycle({ log }).catch((error: unknown) => errors.push(error));
  await cycle();
  world.tenant.run('random 20');
  const [someone] = world.tenant.users();
  const spoil = world.simulator.transform(({ url }, body) =>
    isDeltaRequest(url)
      ? { ...body, value: (body as { value: object[] }).value.map((one) => ({ ...one, mail: 'a\0b' })) }
      : body,
  );
  await cycle();
  spoil();
  world.tenant.expireTokens('410');
  await cycle();
  const bad = [
    { status: 403, body: { error: { code: 'Authorization_RequestDenied', message: 'no' } } },
    { status: 400, body: { error: { code: 'BadRequest', message: 'no' } } },
    { body: '<html>' },
    { destroy: true },
    { status: 401, body: {} },
  ];
  for (const intervention of bad) {
    const off = world.simulator.intercept(({ url }) => (isDeltaRequest(url) ? intervention : undefined));
    await cycle();
    off();
  }
  const right = world.simulator.options.clientSecret;
  const expire = world.simulator.intercept(({ url }) => {
    // The secret is changed in Entra ID while the worker still has this one.
    if (url.includes('/oauth2/')) world.simulator.options.clientSecret = 'another one';
    return undefined;
  });
  await cycle();
  expire();
  expect(errors).toHaveLength(bad.length + 1);

  const told = errors.map((error) => describeWhole(error)).join('\n');
  const [kept] = await rows<{ text: string }>(
    world.database,
    `select (select string_agg(c::text, '') from entra_sync.cycles c) || (select string_agg(t::text, '') from entra_sync.tenants t)
         || coalesce((select string_agg(s::text, '') from entra_sync.set_aside s), '') as text`,
  );
  const [everything] = await rows<{ text: string }>(
    world.database,
    `select (select string_agg(c::text, '') from entra_sync.checkpoints c) || (select string_agg(c::text, '') from entra_sync.changes c)
         || coalesce((select string_agg(r::text, '') from entra_sync.rounds r), '') as text`,
  );
  expect(text().length).toBeGreaterThan(1_000);
  const secrets = [right, ...tokens];
  for (const [place, content] of Object.entries({
    log: text(),
    told,
    kept: kept?.text,
    everything: everything?.text,
  })) {
    for (const secret of secrets) expect(content?.includes(secret), `${place} holds a credential`).toBe(false);
  }
  const personal = world.tenant
    .users()
    .flatMap(({ properties }) =>
      [properties.displayName, properties.mail, properties.userPrincipalName, properties.surname].map(String),
    );
  expect(personal).toContain(String(someone?.properties.mail));
  for (const [place, content] of Object.entries({ log: text(), told, kept: kept?.text })) {
    for (const value of [...personal, ...links])
      expect(content?.includes(value), `${place} holds ${value}`).toBe(false);
  }
});

/** Returns everything that a printed error could show: message, cure, detail, stack and causes. */
function describeWhole(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cure, detail } = error as { cure?: string; detail?: string };
  return [error.stack, cure, detail, error.cause === undefined ? '' : describeWhole(error.cause)].join('\n');
}

const closing = "old.outcome = 'running' and new.outcome <> 'running'";

test('rule 21: a cycle that committed and could not close its row is reported as committed, with its counts', async () => {
  const world = await openWorld({ groups: 2 });
  const { database } = world;
  await database.raw(`
    create function public.no_room() returns trigger language plpgsql as $$ begin
      raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
    create trigger no_room before update on entra_sync.cycles for each row when (${closing}) execute function public.no_room()`);
  expect(await failureOf(world.cycle())).toMatchObject({
    code: 'database_unable',
    message: 'the cycle has committed its changes, and the database failed before its end was noted',
  });
  await database.raw('drop trigger no_room on entra_sync.cycles');
  await expectTruth(world.tenant, database, []);
  const [before] = await rows<{ at: Date }>(database, 'select max(committed_at) as at from entra_sync.checkpoints');
  const statusNow = async () => (await readStatus(database, world.tenant.tenantId))[0];
  expect(await statusNow()).toMatchObject({ status: 'pending', last_outcome: 'committed', running: false });
  // The next cycle fails, and still the earlier one counts.
  const off = world.simulator.intercept(({ url }) => (url.includes('/delta') ? { status: 500, body: {} } : undefined));
  await failureOf(world.cycle());
  off();
  const [first, second] = await rows(
    database,
    `select outcome, error_code, finished_at, streams #>> '{users,created}' as created,
            streams #>> '{groups,created}' as groups, (streams #>> '{users,requests}')::int > 0 as requests
       from directory.cycles order by cycle_id`,
  );
  expect(first).toEqual({
    ...{ outcome: 'committed', error_code: null, finished_at: before?.at },
    ...{ created: '12', groups: '2', requests: true },
  });
  expect(second).toMatchObject({ outcome: 'failed', error_code: 'graph_unavailable' });
  expect(await statusNow()).toMatchObject({ status: 'active', failures: 1, last_success_at: before?.at });
});

test('rule 21: of a cycle that is cut off between its streams, the committed one is reported', async () => {
  const world = await openWorld({ groups: 2 });
  const { database } = world;
  await world.cycle();
  world.tenant.updateUser(world.tenant.users()[0]?.id ?? '', { jobTitle: 'Captain' });
  const off = world.simulator.intercept(({ url }) =>
    url.startsWith('/v1.0/groups/delta') ? { status: 500, body: {} } : undefined,
  );
  await database.raw(`
    create function public.gone() returns trigger language plpgsql as $$ begin
      perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
    create trigger gone before update on entra_sync.cycles for each row when (${closing}) execute function public.gone()`);
  await failureOf(world.cycle());
  off();
  await database.raw('drop trigger gone on entra_sync.cycles');
  await world.cycle();
  expect(
    await rows(
      database,
      `select outcome, error_code, streams #>> '{users,updated}' as updated from directory.cycles order by cycle_id`,
    ),
  ).toEqual([
    { outcome: 'committed', error_code: null, updated: '0' },
    { outcome: 'partial', error_code: 'cut_off', updated: '1' },
    { outcome: 'committed', error_code: null, updated: '0' },
  ]);
  const [row] = await rows<{ message: string }>(
    database,
    "select error_message as message from directory.cycles where error_code = 'cut_off'",
  );
  expect(row?.message).toBe(
    'the process of this cycle ended, or lost the database, before it could close the cycle; users had been committed; the next cycle resumes at its last staged page',
  );
});

test('rule 21: success is a moved checkpoint; a failure is kept as what it was, until the next success', async () => {
  const world = await openWorld();
  const tenants = () =>
    rows(
      world.database,
      'select status, last_success_at is not null as done, last_error_code as error from directory.tenants',
    );
  expect(await tenants()).toEqual([{ status: 'pending', done: false, error: null }]);
  const off = world.simulator.intercept(({ url }) => (url.includes('/delta') ? { status: 500, body: {} } : undefined));
  await failureOf(world.cycle());
  expect(await tenants()).toEqual([{ status: 'pending', done: false, error: 'graph_unavailable' }]);
  off();
  await world.cycle();
  expect(await tenants()).toEqual([{ status: 'active', done: true, error: null }]);
  const outcomes = await rows(world.database, 'select outcome, error_code from directory.cycles order by cycle_id');
  expect(outcomes).toEqual([
    { outcome: 'failed', error_code: 'graph_unavailable' },
    { outcome: 'committed', error_code: null },
  ]);
});
