// Rules 13 to 16 in whole cycles: where the token goes, loops of links, dead links, bad answers.
import { expect, test } from 'vitest';
import { createTenant, startSimulator, throttled } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import {
  accountsOf,
  committedState,
  expectTruth,
  failureOf,
  isDeltaRequest,
  openWorld,
  trust,
  type World,
} from '../../support/system.ts';

type Links = { '@odata.nextLink'?: string; '@odata.deltaLink'?: string };

/** Replaces links on the pages of users/delta; returns the function that stops it. */
function alterLinks(world: World, alter: (links: Links, page: number, url: string) => Links): () => void {
  let page = 0;
  return world.simulator.transform(({ url }, body) => {
    if (!isDeltaRequest(url)) return body;
    page += 1;
    const { '@odata.nextLink': next, '@odata.deltaLink': delta, ...rest } = body as Links;
    return {
      ...rest,
      ...alter({ ...(next && { '@odata.nextLink': next }), ...(delta && { '@odata.deltaLink': delta }) }, page, url),
    };
  });
}

/** Answers the n-th request to users/delta (and later ones, when `onwards`) in place of the tenant. */
function answerPage(world: World, nth: number, intervention: object, onwards = false): void {
  let page = 0;
  world.simulator.intercept(({ url }) => {
    if (!isDeltaRequest(url)) return undefined;
    page += 1;
    return page === nth || (onwards && page > nth) ? intervention : undefined;
  });
}

const signIns = (world: World) =>
  world.simulator.requests.filter(({ path }) => path.includes('/oauth2/v2.0/token')).length;

test.each(['@odata.nextLink', '@odata.deltaLink'] as const)(
  'rule 13: %s to another host is not followed and the token does not reach it',
  async (name) => {
    const world = await openWorld({ simulator: { pageSize: name === '@odata.nextLink' ? 4 : 50 } });
    const thief = await startSimulator({ tenants: [createTenant({ seed: 2, users: 1 })] });
    trust(thief.certificate);
    const tidy = alterLinks(world, (links) =>
      links[name] ? { [name]: links[name].replace(world.simulator.origin, thief.origin) } : links,
    );
    const before = await committedState(world.database, world.tenant.tenantId);
    expect(await failureOf(world.cycle())).toMatchObject({ code: 'foreign_link' });
    // A second cycle meets the same page again: nothing foreign was kept to be resumed.
    expect(await failureOf(world.cycle())).toMatchObject({ code: 'foreign_link' });
    expect(thief.requests).toEqual([]);
    await thief.close();
    expect(await committedState(world.database, world.tenant.tenantId)).toBe(before);
    tidy();
    await world.cycle();
    await expectTruth(world.tenant, world.database, []);
  },
);

test.each([
  ['without TLS', (origin: string) => origin.replace('https:', 'http:')],
  ['with a user in it', (origin: string) => origin.replace('https://', 'https://graph.microsoft.com@')],
  ['on another port', (origin: string) => origin.replace(/:\d+$/, ':1')],
  ['that is no URL', () => 'graph'],
])('rule 13: a link %s is not followed', async (_how, foreign) => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  alterLinks(world, (links) =>
    links['@odata.nextLink']
      ? { '@odata.nextLink': links['@odata.nextLink'].replace(world.simulator.origin, foreign(world.simulator.origin)) }
      : links,
  );
  expect(await failureOf(world.cycle())).toMatchObject({ code: 'foreign_link' });
  expect(world.deltaRequests()).toHaveLength(1);
});

test('rule 13: a redirect is not followed, neither is the Location of a 410', async () => {
  const thief = await startSimulator({ tenants: [createTenant({ seed: 2, users: 1 })] });
  trust(thief.certificate);
  for (const status of [302, 307, 410]) {
    const world = await openWorld();
    answerPage(
      world,
      1,
      { status, headers: { Location: `${thief.origin}/v1.0/users/delta?$deltatoken=` }, body: {} },
      true,
    );
    expect(await failureOf(world.cycle())).toMatchObject({ code: 'graph_answer_invalid' });
  }
  expect(thief.requests).toEqual([]);
  await thief.close();
});

test('rule 13: links are used byte for byte', async () => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  const handedOut: string[] = [];
  alterLinks(world, (links) => {
    handedOut.push(...Object.values(links).map((link) => link.slice(world.simulator.origin.length)));
    return links;
  });
  await world.cycle();
  await world.cycle();
  expect(handedOut).toHaveLength(4);
  expect(world.deltaRequests().slice(1)).toEqual(handedOut.slice(0, 3));
});

test('rule 14: a link that leads back ends the round with an error, and the next cycle restarts it', async () => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  const straighten = alterLinks(world, (links, _page, url) =>
    url.includes('skiptoken') ? { '@odata.nextLink': `${world.simulator.origin}${url}` } : links,
  );
  for (const _ of [1, 2]) {
    world.simulator.clearRequests();
    expect(await failureOf(world.cycle())).toMatchObject({ code: 'round_endless' });
    expect(world.deltaRequests().length).toBeLessThanOrEqual(4);
  }
  expect(await accountsOf(world.database, world.tenant.tenantId)).toEqual({});
  straighten();
  await world.cycle();
  await expectTruth(world.tenant, world.database, []);
});

test.each(['410', '400'] as const)(
  'rule 15: a delta token refused with %s becomes one full round in the same cycle',
  async (how) => {
    const world = await openWorld({ simulator: { pageSize: 5 } });
    await world.cycle();
    const before = await accountsOf(world.database, world.tenant.tenantId);
    const [gone] = world.tenant.users();
    world.tenant.purgeUser(gone?.id ?? '');
    world.tenant.expireTokens(how);
    world.simulator.clearRequests();
    const { streams } = await world.cycle();
    expect(streams.users).toMatchObject({ round: 'full', reason: 'token_expired', removed: 1, created: 0, updated: 0 });
    expect(world.deltaRequests().filter((path) => path.includes('$select='))).toHaveLength(1);
    delete before[gone?.id ?? ''];
    expect(await accountsOf(world.database, world.tenant.tenantId)).toEqual(before);
    expect((await world.cycle()).streams.users).toMatchObject({ round: 'incremental', seen: 0 });
  },
);

test.each(['410', '400'] as const)('rule 15: a next link refused with %s restarts the same round', async (how) => {
  const world = await openWorld({ simulator: { pageSize: 5 } });
  let expired = false;
  world.simulator.intercept(({ url }) => {
    if (!expired && url.includes('skiptoken')) {
      expired = true;
      world.tenant.expireTokens(how);
    }
    return undefined;
  });
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ round: 'full', reason: 'first', pages: 3, created: 12 });
  await expectTruth(world.tenant, world.database, []);
});

test('rule 15: tokens that are dead again and again are an error, not a loop', async () => {
  const world = await openWorld({ simulator: { pageSize: 5 } });
  await world.cycle();
  const before = await committedState(world.database, world.tenant.tenantId);
  world.simulator.intercept(({ url }) => {
    if (/skiptoken|deltatoken/.test(url)) world.tenant.expireTokens('410');
    return undefined;
  });
  world.simulator.clearRequests();
  expect(await failureOf(world.cycle())).toMatchObject({ code: 'graph_answer_invalid' });
  expect(world.deltaRequests().length).toBeLessThan(8);
  expect(await committedState(world.database, world.tenant.tenantId)).toBe(before);
});

test('rule 15: a tenant without delta is reported as such, although its answer has the code of a dead token', async () => {
  const world = await openWorld();
  const message = 'Change enumeration is not supported for requested tenant.';
  answerPage(world, 1, { status: 400, body: { error: { code: 'Request_UnsupportedQuery', message } } }, true);
  expect(await failureOf(world.cycle())).toMatchObject({ code: 'delta_unsupported' });
  expect(world.deltaRequests()).toHaveLength(1);
});

test.each([
  ['a 429 with Retry-After', throttled('0.05')],
  ['a 503', { status: 503, body: {} }],
  ['HTML', { body: '<html>sign in to the hotel</html>' }],
  ['a body cut off', { cutAfterBytes: 700 }],
  ['a connection cut', { destroy: true }],
  ['an error inside a 200', { body: { error: { code: 'UnknownError', message: '' } } }],
  ['a page without any link', { body: { value: [] } }],
])('rule 16: %s is a failed page, asked again', async (_what, intervention) => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  answerPage(world, 2, intervention);
  const waits: number[] = [];
  await world.cycle({ onWait: ({ waitMs }) => waits.push(waitMs) });
  expect(waits).toHaveLength(1);
  if ('headers' in intervention) expect(waits[0]).toBeGreaterThanOrEqual(50);
  expect(world.deltaRequests()).toHaveLength(4);
  await expectTruth(world.tenant, world.database, []);
});

test('rule 16: Retry-After beyond the budget ends the cycle at once, and the stage is kept', async () => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  answerPage(world, 2, throttled(86_400), true);
  expect(await failureOf(world.cycle())).toMatchObject({ code: 'graph_throttled' });
  expect(world.deltaRequests()).toHaveLength(2);
  expect(await rows(world.database, 'select pages from entra_sync.rounds')).toEqual([{ pages: 1 }]);
});

test('rule 16: a 401 in the middle gets one new token, and a second one ends the cycle', async () => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  let revoked = false;
  const off = world.simulator.intercept(({ url }) => {
    if (!isDeltaRequest(url) || !url.includes('skiptoken') || revoked) return undefined;
    revoked = true;
    return { status: 401, body: { error: { code: 'InvalidAuthenticationToken', message: '' } } };
  });
  await world.cycle();
  await expectTruth(world.tenant, world.database, []);
  expect(signIns(world)).toBe(2);
  off();
  world.simulator.clearRequests();
  answerPage(world, 1, { status: 401, body: { error: { code: 'InvalidAuthenticationToken', message: '' } } }, true);
  expect(await failureOf(world.cycle())).toMatchObject({ code: 'sign_in_failed' });
  expect([signIns(world), world.deltaRequests().length]).toEqual([2, 2]);
});
