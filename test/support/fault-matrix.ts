// Runs the fault matrix: one tenant per fault goes through its cases, several tenants at the same time. A case edits the
// tenant, runs a cycle with the fault and, if it fails, one without, and compares what applications see.
import { createHash } from 'node:crypto';
import { expect, type onTestFinished } from 'vitest';
import { ExpectedError, errorCodeOf } from '../../src/errors.ts';
import type { WaitEvent } from '../../src/graph/reader.ts';
import { rows } from '../../src/store/database/pool.ts';
import { rowsOf } from './deep.ts';
import { type At, places, rounds, type Strike } from './fault-strikes.ts';
import type { Fault } from './faults.ts';
import { expectFeedRebuilds } from './feed-replay.ts';
import { expectGroups } from './groups-world.ts';
import { bufferLog, expectTruth, fastPolicy, openWorld, type World } from './system.ts';

const streams = ['users', 'groups'] as const;
/** Objects per stream and per page: three pages per round. */
const objects = 5;
const pageSize = 2;

const cases: readonly At[] = rounds.flatMap((round) =>
  streams.flatMap((stream) => places.map((place) => ({ stream, round, place }))),
);

/** Returns the cases of fault `number`: all in the deep run, else one of every third fault, in rotation. */
export function casesOf(number: number): readonly At[] {
  const one = (number * 7) % cases.length;
  return rowsOf(cases, (_, index) => index === one && number % 3 === 0);
}

export type Chain = { readonly results: readonly Promise<void>[]; readonly ended: Promise<void> };

/** Starts the chosen cases of one fault in their own world. A failure rejects the result of its case. */
export function startChain(fault: Fault, chosen: readonly At[]): Chain {
  const closers: (() => unknown)[] = [];
  const world = open(fault, ((close: () => unknown) => void closers.push(close)) as unknown as typeof onTestFinished);
  const results: Promise<void>[] = [];
  let before: Promise<unknown> = world;
  for (const [number, at] of chosen.entries()) {
    const isLast = number === chosen.length - 1;
    const result = before.then(async () => runCase(await world, fault, at, { number, isLast }));
    results.push(result);
    // The next case starts from the state that a failed one leaves.
    before = result.catch(() => {});
  }
  const ended = before.then(async () => {
    for (const close of closers) await close();
  });
  for (const one of [...results, ended]) one.catch(() => {});
  return { results, ended };
}

async function open(fault: Fault, onEnd: typeof onTestFinished): Promise<World> {
  const host = fault.host ?? 'localhost';
  const world = await openWorld({ users: objects, simulator: { pageSize, host }, onEnd });
  for (let number = 1; number <= objects; number += 1) {
    const id = world.tenant.createGroup({ displayName: `Group ${number}`, groupTypes: ['Unified'], mailEnabled: true });
    for (const { id: member } of world.tenant.users().slice(0, 2)) world.tenant.addMember(id, member);
  }
  await world.cycle();
  return world;
}

/** Changes every user, every group and one membership; returns the expected number of changes by kind. */
function edit({ tenant }: World, number: number): Record<string, number> {
  for (const { id } of tenant.users()) tenant.updateUser(id, { jobTitle: `Title ${number}` });
  for (const { id } of tenant.groups()) tenant.updateGroup(id, { description: `Words ${number}` });
  const [, , person] = tenant.users();
  const [group] = tenant.groups();
  if (!person || !group) throw new Error('the tenant is too small');
  const joins = !group.members.has(person.id);
  if (joins) tenant.addMember(group.id, person.id);
  else tenant.removeMember(group.id, person.id);
  return {
    'account.updated': objects,
    'group.updated': objects,
    [joins ? 'membership.added' : 'membership.removed']: 1,
  };
}

type Turn = { readonly number: number; readonly isLast: boolean };

async function runCase(world: World, fault: Fault, at: At, { number, isLast }: Turn): Promise<void> {
  const expected = edit(world, number);
  const outcome = fault.outcome(at);
  const before = await stateOf(world, at.stream);
  const struck = await strike(world, fault, at);

  if ('fails' in outcome) {
    expect({ failed: struck.error && errorCodeOf(struck.error), hits: struck.hits > 0 }).toEqual({
      failed: outcome.fails,
      hits: true,
    });
    expect(struck.error).toBeInstanceOf(ExpectedError);
    const after = await stateOf(world, at.stream);
    expect(after.digest, 'nothing of the stream has changed').toBe(before.digest);
    // If both streams suffer, the other one may have committed before.
    expect(fault.both ? ['failed', 'partial'] : ['partial']).toContain(struck.cycle?.outcome);
    if (!fault.both) expect(struck.cycle?.error_code).toBe(outcome.fails);
  } else {
    expect(struck.error).toBeUndefined();
    expect(struck.cycle).toEqual({ outcome: 'committed', error_code: null });
    expect(struck.hits).toBe(fault.times ?? 1);
    const own = struck.waits.filter(({ stream }) => stream === at.stream);
    if (outcome.heals === 'asked_again') {
      expect(own.length, 'waits').toBeGreaterThanOrEqual(outcome.waits);
      // A busy machine may also answer or listen late.
      if (!fault.policy) expect(own.length, 'waits').toBe(outcome.waits);
      for (const { waitMs } of own) expect(waitMs).toBeGreaterThanOrEqual(outcome.atLeastMs ?? 0);
      expect(struck.report).toMatchObject({ round: at.round === 'full' ? 'full' : 'incremental', pages: 3 });
    } else {
      const full = outcome.heals === 'full_round' || at.round === 'full';
      expect(struck.report).toMatchObject({ round: full ? 'full' : 'incremental', pages: 3 });
      expect(struck.begun, 'rounds begun').toBe(2);
      if (outcome.heals === 'full_round') expect(struck.report?.reason).toBe('token_expired');
    }
  }
  expectWaitsLogged(struck.log, struck.waits);
  expectNothingLeaks(world, struck);

  if ('fails' in outcome) await world.cycle();
  await expectTruth(world.tenant, world.database, []);
  await expectGroups(world);
  const changes = await rows<{ kind: string; changes: number }>(
    world.database,
    'select kind, count(*)::int as changes from entra_sync.changes where change_id > :since group by 1',
    { since: before.since },
  );
  expect(Object.fromEntries(changes.map((row) => [row.kind, row.changes])), 'one row per change').toEqual(expected);
  if (isLast) await expectFeedRebuilds(world.database, world.tenant.tenantId, null);
}

type Struck = Awaited<ReturnType<typeof strike>>;

async function strike(world: World, fault: Fault, at: At) {
  const { simulator } = world;
  const index = places.indexOf(at.place);
  const waits: WaitEvent[] = [];
  const overs: { reason: RegExp | undefined; over: () => unknown }[] = [];
  const secrets = new Set<string>();
  let asked: string[] = [];
  let hits = 0;
  let begun = 0;
  let full = false;
  const strikeOf = (url: string): Strike => ({
    world,
    at,
    hit: hits,
    url,
    untilWait: (reason, over) => overs.push({ reason, over }),
    untilEnd: (over) => overs.push({ reason: undefined, over }),
  });
  const pageOf = (url: string) => {
    // The first page again is a retry, unless other pages were requested since.
    if (!url.includes('$skiptoken=') && !(asked.length === 1 && asked[0] === url)) asked = [];
    if (!asked.includes(url)) {
      asked.push(url);
      if (asked.length === 1) begun += 1;
    }
    return asked.indexOf(url);
  };
  const off = [
    simulator.intercept(async ({ url, headers }) => {
      if (!url.startsWith(`/v1.0/${at.stream}/delta`)) return undefined;
      if (url.includes('$skiptoken=endless-')) return endless(world, at, url);
      const page = pageOf(url);
      if (page === 0) full = url.includes('$select=');
      // Only full rounds ask Graph to throttle them first.
      if ((headers['x-ms-throttle-priority'] === 'low') !== full) throw new Error(`priority of ${url}`);
      if (page !== index || hits >= (fault.times ?? Number.POSITIVE_INFINITY)) return undefined;
      hits += 1;
      return fault.strike?.(strikeOf(url));
    }),
    simulator.transform(({ url }, body) => {
      const { access_token: token, '@odata.nextLink': next, '@odata.deltaLink': delta, ...rest } = body as Body;
      for (const secret of [token, next?.split('token=')[1], delta?.split('token=')[1]])
        if (secret) secrets.add(secret);
      if (!fault.link || !url.startsWith(`/v1.0/${at.stream}/delta`) || asked.indexOf(url) !== index) return body;
      return { ...rest, '@odata.nextLink': fault.link(strikeOf(url)) };
    }),
  ];
  const { log, text } = bufferLog();
  let error: unknown;
  const result = await world
    .cycle({
      resync: at.round === 'full',
      policy: { ...fastPolicy, ...fault.policy },
      log,
      onWait: (event) => {
        waits.push(event);
        for (const one of overs.filter(({ reason }) => event.stream === at.stream && reason?.test(event.reason))) {
          overs.splice(overs.indexOf(one), 1);
          void one.over();
        }
      },
    })
    .catch((thrown: unknown) => {
      error = thrown;
    });
  for (const stop of off) stop();
  for (const { over } of overs) await over();
  const [cycle] = await rows<{ outcome: string; error_code: string | null }>(
    world.database,
    'select outcome, error_code from directory.cycles order by cycle_id desc limit 1',
  );
  return { error, report: result?.streams[at.stream], cycle, hits, begun, waits, log: text(), secrets };
}

type Body = Record<string, string | undefined>;

/** Answers with empty pages that link to each other. Most of the 2,000 allowed ones are counted up front. */
async function endless(world: World, at: At, url: string) {
  const number = Number(url.slice(url.indexOf('endless-') + 8));
  // By then everything new is staged, although pages are read ahead.
  if (number === 25) {
    await world.database.raw('update entra_sync.rounds set barren_pages = 1998 where stream = :stream', {
      stream: at.stream,
    });
  }
  const next = `${world.simulator.origin}/v1.0/${at.stream}/delta?$skiptoken=endless-${number + 1}`;
  return number > 50 ? { status: 500, body: '' } : { body: { value: [], '@odata.nextLink': next } };
}

/** Returns a digest of the rows that a failed cycle must not change, and the last change row. */
async function stateOf({ database }: World, stream: At['stream']): Promise<{ digest: string; since: string }> {
  const tables = stream === 'users' ? ['accounts'] : ['groups', 'memberships', 'group_closure'];
  const [row] = await rows<{ state: string; since: string }>(
    database,
    `select concat_ws('|',
       (select string_agg(c::text, '') from entra_sync.checkpoints c where stream = :stream),
       ${tables.map((table) => `(select string_agg(t::text, '' order by t::text) from entra_sync.${table} t)`).join(', ')},
       (select max(change_id) from entra_sync.changes where kind ~ ${stream === 'users' ? "'^account'" : "'^(group|membership)'"})
     ) as state, (select coalesce(max(change_id), 0)::text from entra_sync.changes) as since`,
    { stream },
  );
  return {
    digest: createHash('sha256')
      .update(row?.state ?? '')
      .digest('hex'),
    since: row?.since ?? '0',
  };
}

function expectWaitsLogged(log: string, waits: readonly WaitEvent[]): void {
  const lines = log
    .split('\n')
    .filter((line) => line.includes('"waiting for Graph"'))
    .map((line) => JSON.parse(line));
  expect(lines).toMatchObject(waits.map((wait) => ({ level: 30, cycleId: expect.any(String), ...wait })));
}

function expectNothingLeaks({ tenant, simulator }: World, { log, error, secrets, waits }: Struck): void {
  const told = `${log}${JSON.stringify(waits)}${error instanceof ExpectedError ? [error.stack, error.cure, error.detail].join('\n') : ''}`;
  const people = tenant.users().flatMap(({ properties }) => [properties.displayName, properties.mail]);
  for (const value of [...secrets, simulator.options.clientSecret, ...people])
    if (told.includes(String(value))) throw new Error(`a log or an error contains ${value}`);
}
