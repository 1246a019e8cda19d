// The command line with faults: wrong input, refused sign-ins, no Graph, no database. Each gives one line and its exit
// code, and nothing is half done.
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, type TestContext, test } from 'vitest';
import type { Intervention } from '../../../src/simulator/index.ts';
import { acquireLease } from '../../../src/store/cycle/lease.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli, startCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { expectTruth, isDeltaRequest, openWorld, type World } from '../../support/system.ts';

type WorldOptions = Parameters<typeof openWorld>[0];

async function worldOf({ onTestFinished }: TestContext, options: WorldOptions = {}) {
  const world = await openWorld({ registered: false, ...options, onEnd: onTestFinished });
  return { world, environment: { ...world.simulator.environment(), DATABASE_URL: world.url } };
}

const tenants = (world: World) => rows(world.database, 'select tenant_id, status from entra_sync.tenants');
const anywhere = { DATABASE_URL: 'postgres://nobody@localhost:1/nowhere' };
const graph = { AZURE_CLIENT_ID: 'app', AZURE_CLIENT_SECRET: 'secret' };

describe.concurrent('exit code 2: usage, settings, unknown names', () => {
  test.each([
    ['a bad LOG_LEVEL', { LOG_LEVEL: 'loud' }, /LOG_LEVEL is "loud" .*silent.*trace/],
    [
      'a GRAPH_BASE_URL with a version',
      { ...graph, GRAPH_BASE_URL: 'https://graph.microsoft.com/v1.0' },
      /GRAPH_BASE_URL is not an https origin/,
    ],
    [
      'a GRAPH_BASE_URL without TLS',
      { ...graph, GRAPH_BASE_URL: 'http://graph.microsoft.com' },
      /GRAPH_BASE_URL is not an https origin/,
    ],
    ['an unknown cloud', { ...graph, ENTRA_SYNC_CLOUD: 'mars' }, /ENTRA_SYNC_CLOUD is "mars".*usgov/],
    [
      'no credential, before a database is made',
      { DATABASE_URL: '', ENTRA_SYNC_HOME: join(tmpdir(), 'entra-sync-that-is-not-there') },
      /AZURE_CLIENT_ID and AZURE_CLIENT_SECRET .*not set/,
    ],
    [
      'an invalid DATABASE_URL',
      { ...graph, DATABASE_URL: 'mysql://localhost/x' },
      /DATABASE_URL is not a Postgres URL/,
    ],
    [
      'a secret in two places',
      { ...graph, AZURE_CLIENT_SECRET_FILE: '/nowhere' },
      /both AZURE_CLIENT_SECRET and AZURE_CLIENT_SECRET_FILE/,
    ],
  ])('%s', async (_what, environment, says) => {
    expectOneLine(await runCli(['sync'], { ...anywhere, ...environment }), 2, says);
  });

  test('a tenant that is not a GUID, and an unknown name', async (context) => {
    const { environment } = await worldOf(context);
    expectOneLine(
      await runCli(['sync'], { ...environment, AZURE_TENANT_ID: 'contoso.com' }),
      2,
      /AZURE_TENANT_ID is not a tenant id: "contoso.com"/,
    );
    expectOneLine(await runCli(['sync', 'Conntoso'], environment), 2, /no tenant Conntoso is registered/);
  });

  const wrong: [string[], RegExp][] = [
    [['tenant', 'unpause', 'Contoso'], /unknown command 'unpause', did you mean resume\? -> entra-sync tenant --help/],
    [['removals', 'disapprove', 'Contoso'], /unknown command 'disapprove', did you mean reject\? -> /],
    [['tenant', 'connect', 'Contoso'], /unknown command 'connect' -> entra-sync tenant --help/],
    [['tenant', 'unremove', 'Contoso'], /unknown command 'unremove' -> entra-sync tenant --help/],
    [['version'], /version is not a verb -> entra-sync --version$/m],
    [['snyc'], /unknown command 'snyc', did you mean sync\? -> entra-sync --help/],
    [['disconnect', 'Contoso'], /disconnect is not a verb by itself -> entra-sync tenant disconnect --help$/m],
    [['show'], /show is not a verb by itself -> entra-sync tenant show --help, or entra-sync \S+ show --help/],
    [['tenant', 'shwo'], /unknown command 'shwo', did you mean show\? -> entra-sync tenant --help/],
    [['sync', '--dry-rum'], /unknown option '--dry-rum', did you mean --dry-run\? -> entra-sync sync --help/],
    [['edit'], /no account was named -> entra-sync edit ACCOUNT/],
    [['status', 'one', 'two'], /too many arguments: at most 1, but 2 were given -> entra-sync status --help/],
    [
      ['settings', 'show', 'a', 'b', 'c'],
      /too many arguments: at most 1, but 3 were given -> entra-sync settings show --help/,
    ],
    [['tenant', 'add', 'x'], /a tenant needs its id and a name -> entra-sync tenant add TENANT --name NAME/],
    [['explain', 'ann', '--tenant'], /option '--tenant <tenant>' argument missing -> entra-sync explain --help/],
    [
      ['verify', '--sample', '0'],
      /is not valid: a whole number from 1 to 999999 is needed -> entra-sync verify --help/,
    ],
    [
      ['edit', '--revert', 'mail', '--everyone', '--tenant', 'x', '--as', 'boss'],
      /of many accounts a role reverts a field, and no account does -> give --as user or manager/,
    ],
    [['psql', '-c', 'select 1'], /unknown option '-c' -> put options of psql after --, as in entra-sync psql -- -c/],
    [['tenant'], /tenant does nothing without a verb -> name one of those above: entra-sync tenant --help/],
    [['settings'], /settings does nothing without a verb -> name one of those above: entra-sync settings --help/],
    [[], /entra-sync does nothing without a verb -> name one of those above: entra-sync --help/],
    [['status', 'one', 'two\nlines', '--x\ny'], /unknown option '--x y' -> entra-sync status --help/],
  ];

  test.each(rowsOf(wrong, (_, n) => n % 3 === 0))('usage: %j', async (words, says) => {
    const ended = await runCli(words, anywhere);
    expectOneLine(ended, 2, says);
    expect(ended.stdout).toBe('');
  });

  test.each(['tenant', 'settings', 'removals'])('help of %s has examples, as that of each verb', async (word) => {
    const { code, stdout } = await runCli([word, '--help'], anywhere);
    expect([code, stdout]).toEqual([0, expect.stringMatching(new RegExp(`\\nExamples:\\n  \\$ entra-sync ${word} `))]);
  });

  test.runIf(isDeep)('with --json a usage error is one document, too', async () => {
    const { code, stdout } = await runCli(['snyc', '--json'], anywhere);
    const message = "unknown command 'snyc', did you mean sync?";
    const cure = 'entra-sync --help shows how it is used';
    expect([code, JSON.parse(stdout)]).toEqual([2, { error: { code: 'usage', message, cure, exitCode: 2 } }]);
  });

  test('the help of a group of verbs lists each verb once', async () => {
    const { stderr } = await runCli(['tenant'], anywhere);
    expect(stderr.match(/Usage: entra-sync tenant/g)).toHaveLength(1);
  });

  test('every problem of a settings file is named at once, and nothing of it is stored', async (context) => {
    const { world, environment } = await worldOf(context);
    const file = join(await temporaryDirectory(context.onTestFinished), 'mine.yaml');
    await writeFile(file, 'intervall: 5m\nfields:\n  title: { from: jobTitel }\n  bio: { from: aboutMe }\n');
    const refused = await runCli(['settings', 'apply', file], environment);
    expectOneLine(refused, 2, /mine\.yaml has 3 problems/);
    const problems = [
      expect.stringMatching(/"intervall", did you mean interval\?/),
      expect.stringMatching(/no property "jobTitel", did you mean jobTitle\?/),
      expect.stringMatching(/aboutMe cannot be synced by delta/),
    ];
    expect(refused.stderr.split('\n').filter((line) => line.startsWith('  '))).toEqual(problems);
    const asJson = await runCli(['settings', 'apply', file, '--json'], environment);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ error: { code: 'settings_invalid', list: problems } });
    // The seed, and the settings of the test's world.
    expect(await rows(world.database, 'select version from entra_sync.settings')).toHaveLength(2);
  });
});

describe.concurrent('exit code 3: sign-in, consent, permission', () => {
  test.each([
    ['a wrong secret', { env: { AZURE_CLIENT_SECRET: 'wrong' } }, /AADSTS7000215.*AZURE_CLIENT_SECRET/],
    [
      'an unknown tenant',
      { env: { AZURE_TENANT_ID: '2f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e21' } },
      /AADSTS90002.*check the tenant id/,
    ],
    [
      'an unknown application',
      { env: { AZURE_CLIENT_ID: '2f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e21' } },
      /AADSTS700016.*AZURE_CLIENT_ID/,
    ],
    ['no consent', { roles: [] }, /carries no permission.*admin consent/],
    [
      'a token that could write',
      { roles: ['User.Read.All', 'User.ReadWrite.All'] },
      /carries User\.ReadWrite\.All.*allowRoles/,
    ],
    ['a token that cannot read users', { roles: ['Group.Read.All'] }, /lacks User\.Read\.All/],
  ] as const)('%s', async (_what, how, says) => {
    const given: { env?: Record<string, string>; roles?: readonly string[] } = how;
    const enders: (() => Promise<void>)[] = [];
    const world = await openWorld({
      registered: false,
      ...(given.roles && { simulator: { roles: [...given.roles] } }),
      onEnd: (close) => enders.push(close as () => Promise<void>),
    });
    try {
      const environment = { ...world.simulator.environment(), DATABASE_URL: world.url, ...given.env };
      expectOneLine(await runCli(['sync'], environment), 3, says);
      expect(await tenants(world), 'a tenant that refused the sign-in leaves nothing behind').toEqual([]);
      expect(world.deltaRequests()).toEqual([]);
    } finally {
      for (const end of enders) await end();
    }
  });

  test.runIf(isDeep)('a refusal by Graph itself; only --verbose shows its request id', async (context) => {
    const { world, environment } = await worldOf(context);
    world.simulator.intercept(({ url }) =>
      isDeltaRequest(url) ? { status: 403, headers: { 'request-id': 'the-request-id' }, body: {} } : undefined,
    );
    const [terse, verbose] = [await runCli(['sync'], environment), await runCli(['sync', '--verbose'], environment)];
    expectOneLine(terse, 3, /403/);
    expectOneLine(verbose, 3, /403/);
    expect([terse, verbose].map(({ stderr }) => stderr.includes('request-id the-request-id'))).toEqual([false, true]);
  });

  test('a tenant without delta', async (context) => {
    const { world, environment } = await worldOf(context);
    const message = 'Change enumeration is not supported for requested tenant.';
    world.simulator.intercept(({ url }) =>
      isDeltaRequest(url) ? { status: 400, body: { error: { code: 'Request_UnsupportedQuery', message } } } : undefined,
    );
    expectOneLine(await runCli(['sync'], environment), 3, /does not support delta/);
  });
});

describe.concurrent('exit code 5: Graph', () => {
  const faults: [string, Intervention | undefined, Record<string, string>, RegExp][] = [
    [
      'the authority cannot be reached',
      undefined,
      { AZURE_AUTHORITY_HOST: 'https://localhost:1' },
      /localhost:1 cannot be reached.*AZURE_AUTHORITY_HOST/,
    ],
    ['every connection is cut', { destroy: true }, {}, /cannot be reached.*resumes where it stopped/],
    ['the page is HTML', { body: '<html>Welcome to the hotel</html>' }, {}, /not JSON.*proxy/],
    ['the page is cut off', { cutAfterBytes: 40 }, {}, /cannot be reached/],
    ['its certificate is not trusted', undefined, { NODE_EXTRA_CA_CERTS: '' }, /certificate.*NODE_EXTRA_CA_CERTS/],
  ];

  // The others wait for a quarter of a minute of retries.
  test.each(rowsOf(faults, ([what]) => what.includes('certificate')))(
    '%s',
    async (_what, intervention, changes, says) => {
      const enders: (() => Promise<void>)[] = [];
      const world = await openWorld({ onEnd: (close) => enders.push(close as () => Promise<void>) });
      try {
        if (intervention) world.simulator.intercept(({ url }) => (url.includes('/delta') ? intervention : undefined));
        const environment = { ...world.simulator.environment(), DATABASE_URL: world.url, ...changes };
        expectOneLine(await runCli(['sync'], environment), 5, says);
        expect(await rows(world.database, 'select from entra_sync.accounts')).toEqual([]);
        const cycles = await rows(world.database, 'select outcome, error_code from entra_sync.cycles');
        expect(cycles).toEqual([{ outcome: 'failed', error_code: expect.stringMatching(/^graph_/) }]);
      } finally {
        for (const end of enders) await end();
      }
    },
  );

  test('a link to another host', async (context) => {
    const { world, environment } = await worldOf(context, { simulator: { pageSize: 4 } });
    world.simulator.transform(({ url }, body) =>
      isDeltaRequest(url)
        ? { ...body, '@odata.nextLink': 'https://graph.example/v1.0/users/delta?$skiptoken=x' }
        : body,
    );
    expectOneLine(await runCli(['sync'], environment), 5, /link to https:\/\/graph\.example instead of/);
  });
});

test.concurrent('exit code 6: another cycle of the tenant is running', async (context) => {
  const { world, environment } = await worldOf(context, { registered: true });
  const lease = await acquireLease(world.database, world.tenant.tenantId);
  expectOneLine(await runCli(['sync'], environment), 6, /another cycle of tenant .* is running .*process \d+/);
  await lease.release();
  expect((await runCli(['sync'], environment)).code).toBe(0);
});

describe.concurrent('exit code 7: the database', () => {
  test('no server listens there', async () => {
    expectOneLine(await runCli(['status'], anywhere), 7, /cannot be reached.*DATABASE_URL/);
  });

  test('there is no such database', async (context) => {
    const { url, drop } = await freshDatabase();
    context.onTestFinished(drop);
    const other = new URL(url);
    other.pathname += '_not';
    expectOneLine(await runCli(['status'], { DATABASE_URL: other.href }), 7, /does not exist.*DATABASE_URL/);
  });

  test.runIf(isDeep)(
    'it was never migrated; `migrate` fixes that, and `migrate --check` reports both states',
    async (context) => {
      const { url, drop } = await freshDatabase({ migrated: false });
      context.onTestFinished(drop);
      const environment = { DATABASE_URL: url };
      expectOneLine(await runCli(['status'], environment), 7, /no entra-sync schema yet -> run entra-sync migrate/);
      const missing = await runCli(['migrate', '--check'], environment);
      expectOneLine(missing, 7, /no entra-sync schema yet/);
      expect(missing.stderr).toContain('missing: 0001-tenants.sql');
      expect((await runCli(['migrate'], environment)).code).toBe(0);
      expect((await runCli(['migrate', '--check'], environment)).code).toBe(0);
      expect((await runCli(['status'], environment)).code).toBe(0);
    },
  );

  test('it is newer than the program', async (context) => {
    const { world, environment } = await worldOf(context);
    await world.database.raw("insert into entra_sync.migrations (name, batch) values ('9999-future.sql', 99)");
    expectOneLine(await runCli(['status'], environment), 7, /newer than this program.*9999-future\.sql/);
    expectOneLine(await runCli(['migrate'], environment), 7, /newer than this program/);
  });
});

test.concurrent('exit code 130: Ctrl-C during a round, and the next run resumes at the missing page', async (context) => {
  const { world, environment } = await worldOf(context, { simulator: { pageSize: 3 } });
  const arrived = Promise.withResolvers<void>();
  const release = world.simulator.intercept(({ url }) => {
    if (!isDeltaRequest(url) || world.deltaRequests().length < 4) return undefined;
    arrived.resolve();
    return { hang: true };
  });
  const running = startCli(['sync'], environment);
  await arrived.promise;
  // The previous page is staged while this one is requested.
  await context.expect
    .poll(() => rows(world.database, 'select pages from entra_sync.rounds'), { timeout: 120_000 })
    .toEqual([{ pages: 3 }]);
  running.interrupt();
  expectOneLine(
    await running.ended,
    130,
    /interrupted; nothing half done is visible -> run the command again: it resumes where it stopped/,
  );
  release();
  world.simulator.clearRequests();
  const [round] = await rows<{ started_at: Date }>(world.database, 'select started_at from entra_sync.rounds');
  const resumed = await runCli(['sync'], environment);
  expect(resumed.code).toBe(0);
  // Pages of the first run are as old as the round, and the command says so (rule 21).
  const older = `users as of ${round?.started_at.toISOString()}`;
  expect(resumed.stderr).toMatch(/^.*users as of \S+ \(.* ago\), when the round began .* -> entra-sync sync ".+"$/m);
  expect(resumed.stderr).toContain(older);
  expect((await runCli(['status'], environment)).stdout).toContain(older);
  expect(world.deltaRequests()).toEqual([expect.stringContaining('skiptoken')]);
  await expectTruth(world.tenant, world.database, []);
  const cycles = await rows(world.database, 'select outcome, error_code from entra_sync.cycles order by cycle_id');
  expect(cycles).toEqual([
    { outcome: 'cancelled', error_code: 'interrupted' },
    { outcome: 'committed', error_code: null },
  ]);
  const next = await runCli(['sync'], environment);
  expect(`${next.stderr}${(await runCli(['status'], environment)).stdout}`).not.toContain('users as of');
});
