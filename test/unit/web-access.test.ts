// The table of access: every route of the server has a line, and a role reaches no other tenant.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import cookies from '@fastify/cookie';
import limits from '@fastify/rate-limit';
import fastify from 'fastify';
import { expect, test } from 'vitest';
import { withAccessTable } from '../../scripts/access-table.ts';
import { servedBy } from '../../src/cli/web-parts.ts';
import type { SignInPage } from '../../src/graph/sign-in.ts';
import { createLog } from '../../src/logger.ts';
import { packageFile } from '../../src/package-files.ts';
import { type Role, roles } from '../../src/rules/viewers.ts';
import type { Database } from '../../src/store/database/pool.ts';
import { access, mayUse, type Route, type Viewer } from '../../src/web/access.ts';
import { consoleFrame } from '../../src/web/console/frame.ts';
import { consolePages, startOf } from '../../src/web/console/pages.ts';
import type { Entrance } from '../../src/web/entrance.ts';
import { localEntrance, openLocalEntry } from '../../src/web/local.ts';
import { portalPages } from '../../src/web/portal/pages.ts';
import { pagesPart } from '../../src/web/serve-pages.ts';
import { signInEntrance } from '../../src/web/sign-in.ts';
import { readWebLanguages } from '../../src/web/web-language.ts';

const database = {} as Database;
const log = createLog('silent');
const routes = Object.keys(access) as Route[];
const [own, foreign] = [randomUUID(), randomUUID()];
const viewer = (role: Role): Viewer => {
  const tenantId = role.startsWith('ops') ? null : own;
  return { roles: [role], tenantId, accountId: null, actor: 'test', shownAs: 'test', reasons: {} };
};

async function routesWith(entrance: Entrance): Promise<string[]> {
  const part = pagesPart({
    ...{
      database,
      log,
      pages: [...consolePages, ...portalPages],
      languages: await readWebLanguages(),
      url: 'http://127.0.0.1:1',
      cookie: 'x',
    },
    ...{ frame: consoleFrame, start: startOf, entrance },
  });
  const app = fastify();
  const served: string[] = [];
  app.addHook('onRoute', ({ method, path }) => void served.push(...[method].flat().map((one) => `${one} ${path}`)));
  await app.register(cookies);
  await app.register(limits);
  await part.register(app);
  return served.filter((one) => !one.startsWith('HEAD '));
}

test('rule 46: every route that the server has is in the table, and no other', async () => {
  const signIn = {} as SignInPage;
  const asked = { database, signIn, url: 'http://localhost', languages: [], log, opsTenant: undefined };
  const entrances = [
    localEntrance(database, openLocalEntry(), 'test'),
    signInEntrance({ ...asked, onSignIn: () => {} }),
  ];
  const served = new Set((await Promise.all(entrances.map(routesWith))).flat());
  expect([...served].toSorted()).toEqual(routes.toSorted());
});

test.each(roles.filter((role) => !role.startsWith('ops')))('rule 46: %s uses no route in a foreign tenant', (role) => {
  for (const route of routes) {
    if (route.includes('/:tenant')) {
      expect(mayUse(viewer(role), route, foreign), route).toBe(false);
      expect(mayUse(viewer(role), route, undefined), route).toBe(false);
    } else if (access[route] !== 'everybody') {
      const allowed: readonly Role[] = access[route];
      // A route without a tenant shows all of them, unless it is of one's own account.
      expect(allowed.includes(role) && route.includes('/console'), route).toBe(false);
    }
  }
});

test('rule 46: a role uses the routes of its line and no other, ops in any tenant', () => {
  for (const route of routes)
    for (const role of roles) {
      const line: readonly Role[] | 'everybody' = access[route];
      const expected = line === 'everybody' || line.includes(role);
      expect(mayUse(viewer(role), route, own), `${route} by ${role}`).toBe(expected);
      if (role.startsWith('ops')) expect(mayUse(viewer(role), route, foreign), `${route} by ${role}`).toBe(expected);
    }
});

test('rule 46: ops that only read, and readers, send no form that acts', () => {
  const reading: readonly Role[] = ['ops_read', 'reader'];
  const harmless: readonly Route[] = ['POST /leave', 'POST /console/t/:tenant/reason'];
  for (const route of routes.filter((one) => one.startsWith('POST ') && !harmless.includes(one)))
    for (const role of reading) expect(mayUse(viewer(role), route, own), `${route} by ${role}`).toBe(false);
});

test.each([
  [['user'], { console: true, portal: true }, '/me'],
  [['admin', 'reader', 'user'], { console: true, portal: true }, `/console/t/${own}`],
  [['admin', 'reader', 'user'], { console: false, portal: true }, '/me'],
  [['admin', 'reader'], { console: false, portal: true }, undefined],
  [['user'], { console: true, portal: false }, undefined],
  [['ops_act', 'ops_read'], { console: true, portal: true }, '/console'],
] as const)('%s of %o starts at %s', (given, parts, path) => {
  const tenantId = given.some((role) => role.startsWith('ops')) ? null : own;
  expect(servedBy(parts).start({ ...viewer('user'), roles: given, tenantId })).toBe(path);
});

test('docs/privacy.md tells who may use which page: npm run access-table writes it', () => {
  const page = readFileSync(packageFile('docs', 'privacy.md'), 'utf8');
  expect(page).toBe(withAccessTable(page));
});
