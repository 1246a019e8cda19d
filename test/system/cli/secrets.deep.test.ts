// All of rule 18: runs the real program through many faults, then scans its whole output, every column and every file
// for the client secret, access tokens, delta tokens, names and addresses.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, type onTestFinished, test } from 'vitest';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { createTenant, type Intercept, type Intervention, type Tenant } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { startCli, temporaryDirectory } from '../../support/cli.ts';
import { until } from '../../support/fleet.ts';
import type { Ended } from '../../support/in-process.ts';
import { columnsHolding, expectNone, filesBelow, type Secrets } from '../../support/leaks.ts';
import { expectTruth, isDeltaRequest, openWorld, type World } from '../../support/system.ts';

// Every personal value of this tenant contains one of these. Neither occurs in the program's own words.
const person = 'Quirkfeather';
const personal = /quirkfeather|555\W*0147/i;

function makePeople(tenant: Tenant): void {
  for (const [index, { id }] of tenant.users().entries()) {
    tenant.updateUser(id, {
      displayName: `Ann${index} ${person}`,
      givenName: `Ann${index}${person}`,
      surname: person,
      mail: `ann${index}@${person.toLowerCase()}.example`,
      userPrincipalName: `ann${index}@${person.toLowerCase()}.example`,
      mobilePhone: '+1 555 0147',
      jobTitle: `${person} ${index}`,
    });
  }
  for (let index = 0; index < 3; index += 1) {
    const group = tenant.createGroup({ displayName: `${person} ${index}`, mail: `g${index}@${person}.example` });
    for (const { id } of tenant.users().slice(index)) tenant.addMember(group, id);
  }
}

/** The only columns that may hold personal values or link tokens. */
const mayHold = new RegExp(
  [
    'entra_sync\\.(accounts|groups|stage_users|stage_groups)\\.(source|mapped|profile|mail|user_principal_name|display_name|description|attributes|patch|match_\\w+): something personal',
    'entra_sync\\.changes\\.(before|after): something personal',
    // Words that find people, and names in their order (rule 32).
    'entra_sync\\.(words|vocabulary|words_left)\\.word: something personal',
    'entra_sync\\.sort_names\\.sort_name: something personal',
    'entra_sync\\.(checkpoints\\.delta_link|rounds\\.(resume|delta)_link): a link token',
  ]
    .map((one) => `^${one}$`)
    .join('|'),
);

/** Alters the pages of users/delta of the world's own tenant. Returns a function that ends this. */
function alterPages(world: World, alter: (page: Record<string, unknown>) => object): () => void {
  return world.simulator.transform(({ url }, body) =>
    isDeltaRequest(url) ? alter(body as Record<string, unknown>) : body,
  );
}

/** Collects the tenant's tokens as they are issued. */
function watchTokens(world: World): Secrets {
  const [access, links] = [new Set<string>(), new Set<string>()];
  world.simulator.transform((_request, body) => {
    const { access_token: token, '@odata.nextLink': next, '@odata.deltaLink': delta } = body as Record<string, string>;
    if (token) access.add(token).add(token.split('.')[2] ?? token);
    for (const link of [next, delta]) if (link) links.add(link.split('token=')[1] ?? link);
    return body;
  });
  return new Map<string, ReadonlySet<string> | RegExp>([
    ['the client secret', new Set([world.simulator.options.clientSecret])],
    ['an access token', access],
    ['a link token', links],
    ['something personal', personal],
  ]);
}

const words = `Ann0 ${person} <ann0@${person.toLowerCase()}.example> +1 555 0147`;
// Longer than any budget, so that the program gives up at once instead of after its retries.
const soon = { 'Retry-After': '86400', 'request-id': words };
const graphError = (status: number, code: string): Intervention => ({
  status,
  headers: soon,
  body: { error: { code, message: words, innerError: { code: words, message: words, 'request-id': words } } },
});
const signInError = (number: number): Intervention => ({
  status: 400,
  headers: soon,
  body: {
    error: 'invalid_client',
    error_description: `AADSTS${number}: ${words}`,
    error_codes: [number],
    trace_id: words,
  },
});

const atDelta =
  (intervention: Intervention): Intercept =>
  ({ url }) =>
    url.includes('/delta') ? intervention : undefined;
const atSignIn =
  (intervention: Intervention): Intercept =>
  ({ url }) =>
    url.includes('/oauth2/') ? intervention : undefined;

/** Faults with their exit codes. */
const badDays: readonly [string, number, Intercept][] = [
  ['403', 3, atDelta(graphError(403, 'Authorization_RequestDenied'))],
  ['400', 5, atDelta(graphError(400, 'BadRequest'))],
  ['401', 3, atDelta(graphError(401, 'InvalidAuthenticationToken'))],
  ['404', 5, atDelta(graphError(404, 'Request_ResourceNotFound'))],
  ['410', 5, atDelta(graphError(410, 'resyncRequired'))],
  ['429', 5, atDelta(graphError(429, 'TooManyRequests'))],
  ['503', 5, atDelta(graphError(503, 'serviceNotAvailable'))],
  ['a redirect', 5, atDelta({ status: 302, headers: { Location: `https://graph.example/?${words}` }, body: words })],
  ['HTML', 5, atDelta({ body: `<html>${words}</html>`, headers: soon })],
  ['broken JSON', 5, atDelta({ body: `{"value":[{"displayName":"${words}`, headers: soon })],
  ['an error object', 5, atDelta({ ...graphError(200, 'UnknownError') })],
  ['no consent', 3, atSignIn(signInError(700016))],
  ['a secret that is refused', 3, atSignIn(signInError(7000215))],
  ['Entra ID that is throttled', 5, atSignIn({ ...signInError(90055), status: 429 })],
  ['a sign-in that answers HTML', 5, atSignIn({ status: 503, headers: soon, body: `<html>${words}</html>` })],
];

/** Opens a registered tenant, and one more per fault, so that one run of the program meets all faults. */
async function openDay(onEnd: typeof onTestFinished) {
  const struck = badDays.map(([name], index) => createTenant({ seed: 100 + index, name, users: 2 }));
  const world = await openWorld({ users: 6, simulator: { pageSize: 2 }, others: struck, onEnd });
  for (const tenant of [world.tenant, ...struck]) makePeople(tenant);
  for (const { tenantId, name } of struck)
    await addTenant(world.database, { tenantId, name, ref: null }, loadDefaults());
  const strike = () =>
    world.simulator.intercept((request) => {
      const index = struck.findIndex(({ tenantId }) => tenantId === request.tenantId);
      return badDays[index]?.[2](request);
    });
  return { world, strike };
}

test('rules 13 and 18: many faults leave no secret and nothing personal in any output, table or file', async ({
  onTestFinished,
}) => {
  const { world, strike } = await openDay(onTestFinished);
  const { simulator, tenant, database } = world;
  const { tenantId } = tenant;
  const secrets = watchTokens(world);
  const directory = await temporaryDirectory(onTestFinished);
  const [cwd, reports] = [join(directory, 'cwd'), join(directory, 'reports')];
  await mkdir(cwd);
  await mkdir(reports);
  const environment = {
    ...simulator.environment(),
    DATABASE_URL: world.url,
    ENTRA_SYNC_HOME: join(cwd, 'home'),
    LOG_LEVEL: 'trace',
    NODE_OPTIONS: `--report-on-signal --report-on-fatalerror --report-uncaught-exception --report-directory=${reports}`,
  };
  const said: { what: string; ended: Ended }[] = [];
  const run = async (what: string, code: number, ...args: string[]) => {
    const running = startCli([...args, '--verbose'], environment, cwd);
    running.child.stdin?.end();
    const ended = await running.ended;
    said.push({ what, ended });
    expect(ended.code, `${what}: ${ended.stderr}`).toBe(code);
    return ended;
  };
  const edit = (word: string) => {
    for (const { id } of tenant.users()) tenant.updateUser(id, { jobTitle: `${person} ${word}` });
  };

  await run('the first cycle', 0, 'sync');
  const clear = strike();
  await run('the bad days', 3, 'sync');
  const { stdout } = await run('the bad days again', 3, 'sync', '--json');
  const { failures, cycles } = JSON.parse(stdout) as {
    failures: { tenant: { name: string }; exitCode: number }[];
    cycles: { tenant: { name: string }; failures: { exitCode: number }[] }[];
  };
  const codes = [...failures, ...cycles.flatMap((one) => one.failures.map((failure) => ({ ...one, ...failure })))];
  expect(Object.fromEntries(codes.map((one) => [one.tenant.name, one.exitCode]))).toEqual(
    Object.fromEntries(badDays.map(([name, code]) => [name, code])),
  );
  await run('their state', 0, 'status');
  await database.raw('update entra_sync.tenants set next_cycle_at = null');
  const worker = startCli(['worker', '--verbose'], environment, cwd);
  await worker.shows(new RegExp(`(?:"cycle (?:failed|not run)[^]*){${badDays.length}}`));
  worker.child.kill('SIGTERM');
  said.push({ what: 'the worker', ended: await worker.ended });
  clear();

  // Links to another host with a token, and dead links.
  edit('links');
  const straight = alterPages(world, ({ '@odata.deltaLink': _, ...rest }) => ({
    ...rest,
    '@odata.nextLink': 'https://graph.example/v1.0/users/delta?$skiptoken=stolen-link-token',
  }));
  (secrets.get('a link token') as Set<string>).add('stolen-link-token');
  await run('a foreign link', 5, 'sync', tenantId);
  straight();
  tenant.expireTokens('400');
  await run('dead tokens', 0, 'sync', tenantId);

  const good = alterPages(world, ({ value, ...rest }) => ({
    ...rest,
    value: (value as object[]).map((one) => ({ ...one, city: `${person}\0`, surname: 7 })),
  }));
  await run('bad objects', 0, 'resync', tenantId);
  good();

  // Killed while staging, after a diagnostic report was requested; then stopped by Ctrl-C.
  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    edit(signal);
    let meet: () => void = () => {};
    const met = new Promise<void>((resolve) => {
      meet = resolve;
    });
    const off = simulator.intercept(({ url }) => {
      if (!isDeltaRequest(url) || !url.includes('skiptoken')) return undefined;
      meet();
      return { hang: true };
    });
    const running = startCli(['sync', tenantId, '--verbose'], environment, cwd);
    await met;
    await until(
      'a page is staged',
      async () => (await rows(database, 'select from entra_sync.stage_users')).length > 0,
    );
    if (signal === 'SIGKILL') {
      running.child.kill('SIGUSR2');
      await running.shows(/Node\.js report completed/);
    }
    running.child.kill(signal);
    said.push({ what: signal, ended: await running.ended });
    off();
  }
  const inTheMiddle = await columnsHolding(database, secrets);

  // Defects whose messages quote rows: of a trigger, and of a constraint.
  edit('defect');
  await database.raw(
    `create function public.odd() returns trigger language plpgsql as $$ begin raise exception 'no % here', new.mapped; end $$;
     create trigger odd before update on entra_sync.accounts for each row execute function public.odd()`,
  );
  await run('a defect', 1, 'sync', tenantId);
  await database.raw('drop trigger odd on entra_sync.accounts');
  // As if it were the first failure: after a second one the program looks for the culprits.
  await database.raw('delete from entra_sync.data_faults');
  await database.raw("alter table entra_sync.accounts add constraint odd check (mapped::text !~ 'defect')");
  await run('a constraint', 1, 'sync', tenantId, '--json');
  await database.raw('alter table entra_sync.accounts drop constraint odd');

  await run('the last cycle', 0, 'sync');
  await expectTruth(tenant, database);

  for (const { what, ended } of said) {
    expectNone(`stdout after ${what}`, ended.stdout, secrets);
    expectNone(`stderr after ${what}`, ended.stderr, secrets);
  }
  expect(
    said.reduce((sum, { ended }) => sum + ended.stderr.length, 0),
    'there was something to scan',
  ).toBeGreaterThan(20_000);
  const left = await filesBelow(directory);
  expect(
    [...left.keys()].filter((path) => path.startsWith(cwd)),
    'files that were left',
  ).toEqual([]);
  expect(
    [...left.keys()].filter((path) => path.startsWith(reports)),
    'the report that was requested',
  ).toHaveLength(1);
  for (const [path, text] of left) expectNone(path, text, secrets);
  expect(
    inTheMiddle.filter((one) => one.startsWith('entra_sync.stage_')),
    'the stage of the killed process',
  ).not.toEqual([]);
  for (const one of new Set([...inTheMiddle, ...(await columnsHolding(database, secrets))]))
    expect(one).toMatch(mayHold);
});
