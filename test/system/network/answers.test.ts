// Answers that cannot be a page of Graph: too large when unpacked, or not UTF-8. Graph and sign-in alike (rules 16, 18).
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { Intervention } from '../../../src/simulator/index.ts';
import { accountsOf, expectTruth, failureOf, isDeltaRequest, openWorld, type World } from '../../support/system.ts';

/** A few kilobytes on the wire that unfold to so many MiB of JSON. */
function bomb(mebibytes: number): Intervention {
  const body = gzipSync(`{"value":[],"x":"${'a'.repeat(mebibytes * 1024 * 1024)}"}`);
  return { body, headers: { 'Content-Encoding': 'gzip' } };
}

/** Answers the requests whose URL matches, and returns their number. */
function answerWith(world: World, fits: (url: string) => boolean, intervention: Intervention, times = 1_000) {
  const asked = { count: 0 };
  world.simulator.intercept(({ url }) => {
    if (!fits(url) || asked.count >= times) return undefined;
    asked.count += 1;
    return intervention;
  });
  return asked;
}

const usersPage = (url: string) => isDeltaRequest(url);

test('rule 16: an answer that unfolds beyond the limit ends the stream, and is not asked for again', async () => {
  const world = await openWorld({ users: 3 });
  const asked = answerWith(world, usersPage, bomb(70), 1);
  const error = await failureOf(world.cycle());
  expect(error).toMatchObject({ code: 'graph_answer_invalid', message: expect.stringContaining('more than 64 MiB') });
  expect(asked.count).toBe(1);
  await world.cycle();
  await expectTruth(world.tenant, world.database, []);
});

test.each([
  ['the token', '/oauth2/v2.0/token'],
  ['the metadata', '/.well-known/openid-configuration'],
])('an answer with %s that unfolds beyond the limit is no sign-in, and is told as one line', async (_, path) => {
  const world = await openWorld({ users: 3 });
  answerWith(world, (url) => url.includes(path), bomb(2));
  const error = await failureOf(world.cycle());
  expect(error).toMatchObject({
    code: 'sign_in_failed',
    message: expect.stringContaining('more than 1 MiB'),
  });
});

test('rule 16: a page with a byte that is not UTF-8 is a failed page: it is asked for again, and nothing of it is kept', async () => {
  const world = await openWorld({ users: 3 });
  const page = { value: [{ id: '605d1257-ffff-40b6-8e6f-528a53f5dc55', displayName: 'M?ller' }] };
  const body = Buffer.from(
    JSON.stringify({ ...page, '@odata.deltaLink': `${world.simulator.origin}/v1.0/users/delta?$deltatoken=x` }),
  );
  body[body.indexOf('?ller')] = 0xfc;
  const asked = answerWith(world, usersPage, { body }, 1);
  await world.cycle();
  expect(asked.count).toBe(1);
  expect(
    Object.values(await accountsOf(world.database, world.tenant.tenantId)).map(({ profile }) => profile.displayName),
  ).not.toContainEqual(expect.stringContaining('ller'));
  await expectTruth(world.tenant, world.database, []);
});
