// `demo --web`: the simulated tenant goes on living, a worker follows it, and two ways in show it in a browser.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import tls from 'node:tls';
import { openBasics } from '../../app.ts';
import { type Environment, readEnvironment } from '../../environment.ts';
import { ExpectedError } from '../../errors.ts';
import { createLog } from '../../logger.ts';
import { useProxyOf } from '../../proxy.ts';
import { workerConnections } from '../../rules/connections.ts';
import { ownActors } from '../../rules/own-actors.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import type { Simulator, Tenant } from '../../simulator/index.ts';
import { makeDue } from '../../store/cycle/next-cycle.ts';
import { type Database, openDatabase } from '../../store/database/pool.ts';
import { openQueue } from '../../store/queue/queue.ts';
import { requireCurrentSchema } from '../../store/schema/migrate.ts';
import { makePortalRole } from '../../store/schema/portal-role.ts';
import { applySettings } from '../../store/settings/versions.ts';
import { openWebMetrics } from '../../web/metrics.ts';
import { serveWeb } from '../../web/server.ts';
import { runWorker } from '../../worker/worker.ts';
import { openGraph, type Run } from '../command.ts';
import { table } from '../layout.ts';
import { openSignedInPart } from '../signed-in-part.ts';
import { loadSimulator } from './load-simulator.ts';
import { inviteBy, openLocalWeb } from './web-local.ts';

export type LiveDemo = {
  readonly run: Run;
  readonly simulator: Simulator;
  readonly tenant: Tenant;
  /** The vendor's own tenant, whose person is ops. */
  readonly vendor: Tenant;
  readonly database: Database;
  readonly databaseUrl: string;
  readonly port: number;
  readonly signInPort: number;
  /** Seconds between two edits of the tenant. */
  readonly every: number;
  /** The object id of a user who manages another. */
  readonly manager: string;
};

/** Returns the vendor's tenant of the simulation. */
export async function createVendor(): Promise<Tenant> {
  const { createTenant } = await loadSimulator();
  return createTenant({ name: 'Vendor', seed: 8, users: 1, groups: 0 });
}

/** Serves the web over the demo's database, and edits and syncs the tenant, until Ctrl-C. */
export async function liveOn(demo: LiveDemo): Promise<void> {
  const { run, simulator, database, signInPort } = demo;
  const { terminal } = run;
  // Node reads NODE_EXTRA_CA_CERTS at its start alone, and this process has made the simulator's certificate itself.
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), simulator.certificate]);
  const people = describePeople(demo);
  const environment = live(demo, people);
  await useProxyOf(environment);
  const { defaults } = openBasics(environment);
  await startWorker(demo, environment, defaults);
  const local = await openLocalWeb(run, { database, port: demo.port, ofDemo: true });
  const url = `http://localhost:${signInPort}`;
  const log = createLog(run.environment.logLevel);
  const metrics = openWebMetrics(database);
  const portalRole = await makePortalRole(database, run.actor);
  const { part } = await openSignedInPart(
    environment,
    { url, database, log, onSignIn: metrics.onSignIn, portalRole },
    { console: true, portal: true },
  );
  const ready = () => requireCurrentSchema(database);
  const server = await serveWeb({ url, host: 'localhost', port: signInPort, log, parts: [part], ready, metrics });
  run.onEnd(() => server.close());

  terminal.say('\nIn a browser');
  terminal.say(
    '  Sign in as any of these people (the browser warns of the certificate of the simulated Entra ID: go on):',
  );
  terminal.print(`  ${url}`);
  const titles = ['sign in as', 'who that is'].map((title) => ({ title }));
  terminal.say(
    table(
      titles,
      people.map(({ principal, says }) => [principal, says]),
      { indent: 4 },
    ),
  );
  terminal.say('  Or come in as the operator. This address is valid once, for a minute; Enter shows another:');
  inviteBy(run, local);
  terminal.say(
    `  ${demo.tenant.name} changes every ${demo.every} s, and a worker syncs it within seconds. Ctrl-C ends it.\n`,
  );
  await edit(demo);
  terminal.note('stopped');
}

type Shown = { readonly principal: string; readonly says: string };

/** Returns the people whose sign-ins differ, and lets the account picker offer the users among them. */
function describePeople({ simulator, tenant, vendor, manager }: LiveDemo): Shown[] {
  const users = tenant.users().filter(({ properties }) => properties.userType === 'Member');
  const enabled = users.filter(({ properties }) => properties.accountEnabled !== false);
  const named = (user: (typeof users)[number] | undefined, says: (name: string) => string): Shown[] => {
    if (!user) return [];
    const { displayName, userPrincipalName } = user.properties;
    return [{ principal: String(userPrincipalName), says: says(String(displayName)) }];
  };
  const report = enabled.find(({ properties }) => properties.manager === manager);
  const managing = users.find(({ id }) => id === manager);
  const other = enabled.find((one) => one !== report && one.id !== manager);
  const copied = [
    ...named(managing, (name) => `${name} of ${tenant.name}, a manager: the own page and the team`),
    ...named(report, (name) => `${name}, who reports to ${String(managing?.properties.displayName)}`),
    ...named(other, (name) => `${name}, without a role`),
    ...named(
      users.find(({ properties }) => properties.accountEnabled === false),
      (name) => `${name}, disabled: a page says so`,
    ),
  ];
  const people = [
    { principal: `user@${vendor.domain}`, says: 'the vendor: all tenants, every act' },
    { principal: `admin@${tenant.domain}`, says: `Global Administrator of ${tenant.name}: its pages` },
    ...copied,
    { principal: `user@${tenant.domain}`, says: 'not copied yet: a page says so' },
    { principal: `admin@${vendor.domain}`, says: 'an organization that is not connected: a page says so' },
    { principal: 'personal@outlook.example', says: 'a personal account: a page says so' },
  ];
  simulator.options.people = Object.fromEntries(people.map(({ principal, says }) => [principal, says]));
  return people;
}

/** Returns the environment of worker and web, with a registration of its own for sign-in. */
function live({ simulator, vendor, databaseUrl }: LiveDemo, people: readonly Shown[]): Environment {
  const signIn = { clientId: randomUUID(), clientSecret: randomUUID() };
  const { options } = simulator;
  options.directoryRoles = true;
  options.signInApplication = signIn;
  options.appRoles = { [people[0]?.principal ?? '']: ['Ops.Act'] };
  return readEnvironment({
    ...process.env,
    ...simulator.environment(),
    DATABASE_URL: databaseUrl,
    ENTRA_SYNC_OPS_TENANT: vendor.tenantId,
    ENTRA_SYNC_SIGN_IN_CLIENT_ID: signIn.clientId,
    ENTRA_SYNC_SIGN_IN_CLIENT_SECRET: signIn.clientSecret,
  });
}

async function startWorker(demo: LiveDemo, environment: Environment, defaults: SettingsDocument): Promise<void> {
  const { run, databaseUrl } = demo;
  const concurrency = 1;
  const maxConnections = concurrency * workerConnections.perTenant + workerConnections.beside;
  const database = openDatabase(databaseUrl, { maxConnections });
  run.onEnd(() => database.destroy());
  const { openReader, credentialFingerprint } = await openGraph({ ...run, environment }, { keepTokens: true });
  const log = createLog(run.environment.logLevel);
  // Pages with faces say more.
  await applySettings(database, defaults, { tenantId: null, document: { photos: { read: true } }, actor: 'demo' });
  const worker = await runWorker(
    {
      ...{ database, defaults, log, openReader, credentialFingerprint },
      openQueue: (onError) => openQueue(databaseUrl, onError),
    },
    { concurrency, actor: ownActors.worker, signal: run.signal },
  );
  run.onEnd(() => worker.ended);
}

/** Edits the tenant and makes it due, until the signal. The people who can sign in stay. */
async function edit({ run, tenant, database, every }: LiveDemo): Promise<void> {
  const { terminal, signal } = run;
  const hires: string[] = [];
  const name = (id: string) => String(tenant.findUser(id)?.properties.displayName);
  const edits = [
    () => {
      const id = tenant.createUser({ userType: 'Member', accountEnabled: true });
      hires.push(id);
      return `${name(id)} is hired`;
    },
    () => tenant.run('title 2'),
    () => tenant.run('join 2'),
    () => {
      const id = hires.at(-1) ?? '';
      tenant.deleteUser(id);
      return `${name(id)} is deleted`;
    },
    () => tenant.run('rename-group 1'),
    () => {
      const id = hires.at(-1) ?? '';
      tenant.restoreUser(id);
      return `${name(id)} is restored`;
    },
  ];
  for (let turn = 0; ; turn += 1) {
    await pause(every * 1_000, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const said = edits[turn % edits.length]?.() ?? '';
    // A request would wait for the pause between the cycles of a tenant, and a person watches.
    await makeDue(database, [tenant.tenantId]).catch((error: unknown) => {
      // A cycle may hold the tenant: the next edit asks again.
      if (!signal.aborted && !(error instanceof ExpectedError)) throw error;
    });
    terminal.say(`  in Entra ID: ${said}`);
  }
}

/** Refuses ports that are taken, before the story is told. */
export async function requirePorts(
  ports: readonly (readonly [option: string, port: number, host: string])[],
): Promise<void> {
  for (const [option, port, host] of ports) {
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve)).catch(
      (error: unknown) => {
        const { code } = error as { code?: string };
        throw new ExpectedError('usage', `cannot listen on port ${port} (${code})`, {
          cure: `choose another one with ${option}`,
          cause: error,
        });
      },
    );
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Refuses a Node that cannot trust the certificate of a simulator within this process. */
export function requireTrust(): void {
  if (typeof tls.setDefaultCACertificates === 'function') return;
  throw new ExpectedError('usage', `demo --web needs Node 22.19 or newer, this is ${process.versions.node}`, {
    cure: 'run npm run demo -- --web in a checkout, which brings a Node of its own',
  });
}
