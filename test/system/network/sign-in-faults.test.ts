// Rule 16 at the token endpoint: a sign-in that may succeed later is tried again under the same policy as a page, with every
// wait reported; any other fails at once. Also tests the metrics of requests.
import { expect, test } from 'vitest';
import type { RequestEvent, WaitEvent } from '../../../src/graph/reader.ts';
import type { Intervention } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { expectTruth, failureOf, fastPolicy, openWorld, type World } from '../../support/system.ts';

const aadsts = (number: number, status = 400): Intervention => ({
  status,
  body: {
    error: 'temporarily_unavailable',
    error_description: `AADSTS${number}: Ann Smith <ann@contoso.example> Trace ID: 0`,
    error_codes: [number],
  },
});

/** Answers the sign-in this many times. */
function atSignIn(world: World, intervention: Intervention, times = Number.POSITIVE_INFINITY): () => void {
  let struck = 0;
  return world.simulator.intercept(({ url }) => {
    if (!url.includes('/oauth2/') || struck >= times) return undefined;
    struck += 1;
    return intervention;
  });
}

const passing: [string, Intervention, RegExp][] = [
  ['429', { status: 429, headers: { 'Retry-After': '0' }, body: {} }, /HTTP_429/],
  ['500', { status: 500, body: '' }, /HTTP_500/],
  ['503 with HTML', { status: 503, body: '<html>Ann Smith is busy</html>' }, /HTTP_503/],
  ['HTML with 200', { body: '<html>Ann Smith at the hotel</html>' }, /NO_ANSWER/],
  ['a closed connection', { destroy: true }, /ECONNRESET|EPIPE|UND_ERR_SOCKET/],
  ['a reset', { reset: true }, /ECONNRESET|EPIPE/],
  ['a body that is cut', { cutAfterBytes: 20 }, /ECONNRESET|EPIPE|UND_ERR_SOCKET/],
  ['AADSTS90033', aadsts(90033), /AADSTS90033/],
  ['AADSTS90055', aadsts(90055, 429), /AADSTS90055/],
];

test.each(passing)(
  'rule 16: %s once is a reported wait, and the cycle continues',
  async (_what, intervention, reason) => {
    const world = await openWorld({ users: 2 });
    // The first is the sign-in of the count for the progress bar, which nothing depends on.
    atSignIn(world, intervention, 2);
    const waits: WaitEvent[] = [];
    await world.cycle({ onWait: (event) => waits.push(event) });
    expect(waits.length).toBeGreaterThan(0);
    expect(waits[0]?.reason).toMatch(reason);
    expect(JSON.stringify(waits)).not.toMatch(/Ann|Smith/);
    await expectTruth(world.tenant, world.database, []);
  },
);

test.each(passing)(
  'rule 16: %s again and again ends the cycle (exit 5), and the next one heals',
  async (_what, intervention) => {
    const world = await openWorld({ users: 2 });
    const off = atSignIn(world, intervention);
    const error = await failureOf(world.cycle());
    expect(error.code).toBe('graph_unavailable');
    expect(`${error.stack}${error.detail}${error.cure}`).not.toMatch(/Ann|Smith/);
    off();
    await world.cycle();
    await expectTruth(world.tenant, world.database, []);
  },
);

test('rule 21: a report counts the requests that were sent to Graph, and none that a failed sign-in prevented', async () => {
  const world = await openWorld({ users: 5, groups: 2, simulator: { pageSize: 2 } });
  const sent = () => world.simulator.requests.filter(({ path }) => path.startsWith('/v1.0/')).length;
  atSignIn(world, aadsts(90033), 2);
  const { streams } = await world.cycle();
  expect(streams.users.requests + streams.groups.requests).toBe(sent());
  world.simulator.clearRequests();
  atSignIn(world, aadsts(7000222, 401));
  await failureOf(world.cycle());
  const told = await rows<{ requests: number }>(
    world.database,
    "select (s.value->>'requests')::int as requests from entra_sync.cycles, jsonb_each(streams) s order by cycle_id desc limit 2",
  );
  expect({ told, sent: sent() }).toEqual({ told: [{ requests: 0 }, { requests: 0 }], sent: 0 });
});

test('rule 16: a sign-in without an answer ends at the time-out of a request', async () => {
  const world = await openWorld({ users: 2 });
  atSignIn(world, { hang: true });
  const policy = { ...fastPolicy, retries: 1, requestTimeoutMs: 700 };
  expect((await failureOf(world.cycle({ policy }))).code).toBe('graph_unavailable');
});

test('a final refusal is reported at once', async () => {
  const world = await openWorld({ users: 2 });
  atSignIn(world, aadsts(7000222, 401));
  const waits: WaitEvent[] = [];
  const error = await failureOf(world.cycle({ onWait: (event) => waits.push(event) }));
  expect(error).toMatchObject({ code: 'credential_refused', cure: expect.stringContaining('expired') });
  expect(waits).toEqual([]);
});

test('rule 16: access tokens that live shorter than a round are renewed before they are sent', async () => {
  const world = await openWorld({ users: 9, groups: 4, simulator: { pageSize: 2, tokenLifetimeSeconds: 1 } });
  await world.cycle();
  await expectTruth(world.tenant, world.database, []);
  const signIns = world.simulator.requests.filter(({ path }) => path.includes('/oauth2/')).length;
  expect(signIns).toBeGreaterThan(3);
  expect(world.simulator.requests.filter(({ status }) => status === 401)).toEqual([]);
});

test('every request is reported with endpoint, method, outcome, time and tenant, and nothing else', async () => {
  const world = await openWorld({ users: 5, groups: 3, simulator: { pageSize: 2 } });
  const told: (RequestEvent & { tenantId: string })[] = [];
  let struck = false;
  world.simulator.intercept(({ url }) => {
    if (struck || !url.includes('/users/delta')) return undefined;
    struck = true;
    return { reset: true };
  });
  const { streams } = await world.cycle({ onRequest: (event) => told.push(event) });
  for (const one of told) {
    expect(Object.keys(one).sort()).toEqual(['endpoint', 'method', 'outcome', 'seconds', 'tenantId']);
    expect(one).toMatchObject({ tenantId: world.tenant.tenantId, method: 'GET', seconds: expect.any(Number) });
    expect(one.seconds).toBeGreaterThan(0);
  }
  const of = (endpoint: string) => told.filter((one) => one.endpoint === endpoint).map(({ outcome }) => outcome);
  expect(of('users/delta')).toEqual(['ECONNRESET', 200, 200, 200]);
  expect(of('groups/delta').every((outcome) => outcome === 200)).toBe(true);
  expect(told).toHaveLength(streams.users.requests + streams.groups.requests);
  expect([...new Set(told.map(({ endpoint }) => endpoint))].sort()).toEqual([
    'deletedItems',
    'deletedItems/group',
    'groups',
    'groups/delta',
    'users',
    'users/delta',
  ]);
});
