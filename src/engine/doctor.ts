// Checks the installation step by step, each with its cure. Tenants: doctor-tenant.ts.
import { ExpectedError } from '../errors.ts';
import type { AppCredential } from '../graph/app-credential.ts';
import { credentialEnd } from '../graph/client-certificate.ts';
import type { Cloud } from '../graph/clouds.ts';
import type { TokenSource } from '../graph/credential.ts';
import { askHost, lookUpHost } from '../graph/probe.ts';
import { judgeLimits } from '../rules/time-limits.ts';
import { describeWorkers } from '../rules/workers.ts';
import type { CredentialReference, SettingsDocument } from '../settings/settings.ts';
import { readServer, readTimeLimits, tryWriting } from '../store/database/health.ts';
import type { Database } from '../store/database/pool.ts';
import { isOfDemo } from '../store/embedded/demo-mark.ts';
import { readWorkerSigns } from '../store/queue/worker-beats.ts';
import { requireCurrentSchema } from '../store/schema/migrate.ts';
import { readRegistration } from '../store/tenants/registrations.ts';
import { listWaiting } from '../store/tenants/waiting-consents.ts';
import type { Checklist, Finding, Made } from './checklist.ts';
import type { CycleParts } from './cycle.ts';
import { judgeGrants } from './doctor-grants.ts';
import { checkRegistrations } from './doctor-web.ts';
import { describeRegistration } from './registration.ts';

/** The connection to Graph as app.ts opens it. */
export type DoctorGraph = {
  readonly cloud: Cloud;
  /** Reads the credential in use. Throws if it is incomplete. */
  credential(own?: CredentialReference | null): AppCredential;
  tokens(tenantId: string, allowRoles: readonly string[], own?: CredentialReference | null): TokenSource;
  readonly openReader: CycleParts['openReader'];
};

export type DoctorParts = {
  /** Undefined: there is no database yet, which is no fault. */
  openDatabase(): Promise<{ readonly database: Database; readonly name: string } | undefined>;
  /** Throws if the environment names invalid hosts. */
  openGraph(): DoctorGraph;
  /** Tenants may bring their own. */
  readonly namesCredential: boolean;
  /** Reads the credential that people sign in to the web with; undefined where the environment names nothing of the web. */
  readonly signIn?: (() => AppCredential) | undefined;
  /** Reads the public address of the web; undefined where the environment names none. Throws `usage` for a wrong one. */
  readonly publicUrl?: (() => string) | undefined;
  /** Whether a proxy resolves host names. */
  readonly proxied: boolean;
  /** The database is the embedded one, on which no worker can run. */
  readonly embedded?: boolean;
  readonly defaults: SettingsDocument;
  readonly log: CycleParts['log'];
  readonly signal: AbortSignal;
  now(): number;
};

/** The results that the checks of tenants need. */
export type Installation = {
  readonly schema: Made<Database>;
  readonly graph: Made<DoctorGraph>;
  /** The credential of the environment. */
  readonly credential: Made<AppCredential>;
  /** The sign-in host answers over a trusted connection; `service`: Graph does. */
  readonly authority: Made<true>;
  readonly service: Made<true>;
};

/** Adds the checks that all tenants share to `list`. Throws only an interruption. */
export async function checkInstallation(parts: DoctorParts, list: Checklist): Promise<Installation> {
  const opened = await list.make('database', [], async () => {
    const there = await parts.openDatabase();
    if (!there)
      return { says: 'there is none yet', cure: 'entra-sync sync makes the embedded one; or set DATABASE_URL' };
    const { database, name } = there;
    const { version, major, standby, readOnly } = await readServer(database);
    const says = `Postgres ${version} (${name})`;
    if (major < 15) {
      throw new ExpectedError('database_refused', `${says} is too old`, { cure: 'use Postgres 15 to 18' });
    }
    if (standby) {
      throw new ExpectedError('database_unable', `${says} is a standby and takes no writes (pg_is_in_recovery)`, {
        cure: 'name the primary in DATABASE_URL',
      });
    }
    if (readOnly) {
      throw new ExpectedError('database_unable', `${says} takes no writes (transaction_read_only is on)`, {
        cure: 'alter role ROLE in database NAME set default_transaction_read_only = off, for those of DATABASE_URL',
      });
    }
    return {
      says,
      value: database,
      ...(major > 18 && { cure: 'newer than what this version was tested with (15 to 18)' }),
    };
  });
  const schema = await list.make('schema', [opened], async () => {
    const database = opened.value as Database;
    await requireCurrentSchema(database);
    return { says: 'up to date', value: database };
  });
  await list.make('clock: database', [opened], async () => {
    const before = parts.now();
    const { now } = await readServer(opened.value as Database);
    return judgeClock(now.getTime() - (before + parts.now()) / 2, 'the database');
  });
  await list.make('disk: database', [opened], async () => {
    const tried = await tryWriting(opened.value as Database);
    return {
      says: tried ? 'a megabyte could be written' : 'not tried: the role may make no temporary table',
      value: true,
    };
  });
  await list.make('limits: database', [opened], async () => {
    const { state, says, cure } = judgeLimits(await readTimeLimits(opened.value as Database));
    if (state === 'fatal') throw new ExpectedError('database_unable', says, cure === undefined ? {} : { cure });
    return { says, value: true, ...(cure !== undefined && { cure }) };
  });
  const ofDemo = !parts.namesCredential && schema.value !== undefined && (await isOfDemo(schema.value));
  const graph = await list.make<DoctorGraph>('cloud', [], () => {
    // Without a value nothing asks Microsoft for a tenant that was never there.
    if (ofDemo) return { says: 'simulated: the demo made this database, and its Entra ID ended with it' };
    const value = parts.openGraph();
    return { says: `sign-in at ${value.cloud.authorityHost}, Graph at ${value.cloud.graphOrigin}`, value };
  });
  const credential = await list.make<AppCredential>('credential', [graph], () => {
    if (parts.namesCredential) return judgeCredential((graph.value as DoctorGraph).credential(), parts.now());
    return {
      says: 'the environment names none: only tenants that bring their own can be reached',
      cure: 'set AZURE_CLIENT_ID and one of the secrets (docs/operations.md, "Environment")',
    };
  });
  const { signIn } = parts;
  const web =
    signIn && (await list.make('credential: web', [], () => judgeSignIn(signIn(), credential.value, parts.now())));
  const { value: database } = schema;
  const { clientId } = credential.value ?? {};
  if (database && clientId !== undefined)
    await list.make('consent: roles', [], async () => describeRegistration(await readRegistration(database, clientId)));
  if (database) await checkRegistrations(list, database, { reads: clientId, signsIn: web?.value }, parts.publicUrl);
  if (database) await list.make('consent: waiting', [], () => judgeWaiting(database));
  if (database) await list.make('grants', [], () => judgeGrants(database));
  const { authorityHost = '', graphOrigin = '' } = graph.value?.cloud ?? {};
  const authority = await checkHost(parts, list, graph, {
    what: 'sign-in',
    origin: authorityHost,
    path: '/common/v2.0/.well-known/openid-configuration',
  });
  const service = await checkHost(parts, list, graph, { what: 'Graph', origin: graphOrigin, path: '/v1.0/' });
  return { schema, graph, credential, authority, service };
}

/** Adds the check of the worker to `list`. It comes last, as in `status`: cycles that wait are the news. */
export async function checkWorker(parts: DoctorParts, { schema }: Installation, list: Checklist): Promise<void> {
  const { value: database } = schema;
  if (database) await list.make('worker', [], () => judgeWorker(database, parts.embedded === true));
}

async function judgeWaiting(database: Database): Promise<Finding<true>> {
  const tenants = new Set((await listWaiting(database, null)).map((one) => one.tenant_id)).size;
  if (tenants === 0) return { says: 'none', value: true };
  const says = `${tenants} ${tenants === 1 ? 'tenant waits' : 'tenants wait'} for your approval`;
  return { says, cure: 'entra-sync tenant approve --list', value: true };
}

async function judgeWorker(database: Database, embedded: boolean): Promise<Finding<true>> {
  const { state, lack, silence, cure } = describeWorkers(await readWorkerSigns(database), embedded);
  if (lack !== null) return { says: lack, cure, value: true };
  if (state === 'working') return { says: 'a worker was seen', value: true };
  return {
    says: state === 'commands' ? `${silence}; sync runs the cycles` : `${silence}; no cycle is overdue`,
    value: true,
  };
}

async function checkHost(
  parts: DoctorParts,
  list: Checklist,
  graph: Made<DoctorGraph>,
  { what, origin, path }: { what: string; origin: string; path: string },
): Promise<Made<true>> {
  const known = await list.make(`DNS: ${what}`, [graph], async () => {
    if (parts.proxied) return { says: 'left to the proxy', value: true as const };
    const addresses = await lookUpHost(origin);
    return { says: `${new URL(origin).hostname} is ${addresses.slice(0, 2).join(', ')}`, value: true as const };
  });
  const asked = await list.make(`TLS: ${what}`, [known], async () => {
    const before = parts.now();
    const { date } = await askHost(`${origin}${path}`, parts.signal);
    // The header counts whole seconds, so half of one is added. The answer is dated halfway through the request.
    const skewMs = date === undefined ? undefined : date + 500 - (before + parts.now()) / 2;
    return { says: 'the certificate is trusted, and it answers', value: { skewMs } };
  });
  await list.make(`clock: ${what}`, [asked], () => {
    const skewMs = asked.value?.skewMs;
    if (skewMs === undefined) return { says: 'its answer has no date', cure: clockCure };
    return judgeClock(skewMs, what === 'sign-in' ? 'the sign-in host' : what);
  });
  return asked.value ? { check: asked.check, value: true } : { check: asked.check };
}

const clockCure = 'have the clock of this machine set by NTP';
// Entra ID accepts assertions only within five minutes of its own time.
const maxSkewMs = 5 * 60_000;
const warnSkewMs = 60_000;

function judgeClock(skewMs: number, other: string): Finding<true> {
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const says =
    seconds < 2
      ? `agrees with ${other}`
      : `this machine is ${seconds} s ${skewMs > 0 ? 'behind' : 'ahead of'} ${other}`;
  if (Math.abs(skewMs) > maxSkewMs) throw new ExpectedError('clock_skewed', says, { cure: clockCure });
  return { says, value: true, ...(Math.abs(skewMs) > warnSkewMs && { cure: clockCure }) };
}

/** Reports the credential and its known expiry. Throws `credential_refused` if it has expired. */
export function judgeCredential(credential: AppCredential, now: number): Finding<AppCredential> {
  const what = `${credentialWords[credential.kind]} of ${credential.holder}`;
  if (credential.kind === 'secret') {
    // The permissions of entra-sync do not cover the registration, which knows the expiry.
    return {
      says: `${what}; only "Certificates & secrets" of the application shows when it expires`,
      value: credential,
    };
  }
  const end = credentialEnd(credential);
  if (end === undefined) return { says: what, value: credential };
  const days = Math.floor((end.getTime() - now) / 86_400_000);
  const date = end.toISOString().slice(0, 10);
  if (end.getTime() <= now) {
    throw new ExpectedError('credential_refused', `${what} has expired on ${date}`, { cure: newCertificate });
  }
  const says = `${what}, good until ${date}`;
  return { says, value: credential, ...(days < 14 && { cure: newCertificate }) };
}

/** Reports the credential of the web's sign-in with its application, and whether it reads directories too. */
function judgeSignIn(credential: AppCredential, own: AppCredential | undefined, now: number): Finding<string> {
  const { says, cure } = judgeCredential(credential, now);
  if (cure !== undefined || credential.clientId !== own?.clientId) {
    return { says, value: credential.clientId, ...(cure !== undefined && { cure }) };
  }
  return {
    says: `${says}; people sign in to the application that reads directories`,
    cure: 'give the web a registration of its own, ENTRA_SYNC_SIGN_IN_CLIENT_ID (docs/web.md, "Two registrations")',
    value: credential.clientId,
  };
}

const newCertificate = 'make a new certificate, register it with the application, then put it in place of this one';

const credentialWords = {
  secret: 'client secret',
  certificate: 'certificate',
  federated: 'federated token',
  managed_identity: 'managed identity',
} as const satisfies Record<AppCredential['kind'], string>;
