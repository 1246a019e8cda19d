// `web`: the console, the portal of a tenant's people, and the consent page beside them.
import { type Command, InvalidArgumentError } from 'commander';
import { readPortalRole, readPublicUrl, readTrustedProxies } from '../../environment.ts';
import { ExpectedError } from '../../errors.ts';
import { createLog } from '../../logger.ts';
import { useProxyOf } from '../../proxy.ts';
import { requireCurrentSchema } from '../../store/schema/migrate.ts';
import { requirePortalRole } from '../../store/schema/portal-role.ts';
import { openWebMetrics } from '../../web/metrics.ts';
import { serveWeb } from '../../web/server.ts';
import { awaitDatabase } from '../../worker/await-database.ts';
import { serveOperations } from '../../worker/http.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { openConsentPart, usualWaitMs } from '../consent-part.ts';
import { parsePort } from '../port.ts';
import { type OpenedPages, openSignedInPart } from '../signed-in-part.ts';
import { roleMissing, serveLocally } from './web-local.ts';
import { sessionsCommand } from './web-sessions.ts';

type WebOptions = VerbOptions & {
  parts?: WebPart[];
  port: number;
  host: string;
  publicUrl?: string;
  local?: boolean;
  as?: string;
  metricsPort?: number;
  metricsHost: string;
};

const webParts = ['console', 'portal', 'connect'] as const;
type WebPart = (typeof webParts)[number];

export function webCommand(): Command {
  return (
    verb(
      'web',
      'Serve the console, the portal of people and the consent page, until Ctrl-C. People sign in with Microsoft: the application needs PUBLIC-URL/entered ' +
        'as a redirect address (web). With --local it serves this machine alone, and lets in the browser that opens the printed address.',
      [
        'web --public-url https://sync.example.com --host 0.0.0.0',
        'web --parts console,portal --public-url https://sync.example.com/console',
        'web --local',
        'web --local --as ann@contoso.com',
        'web --local --actor "Ann Example" --port 8090',
      ],
    )
      .option(
        '--parts <list>',
        'what to serve, of console, portal and connect (the consent page); default: console and connect, and the portal where ENTRA_SYNC_PORTAL_ROLE names its role',
        parseParts,
      )
      .option('--port <n>', 'port to listen on', parsePort, 8081)
      .option('--host <address>', 'address to listen on; 0.0.0.0 in a container', '127.0.0.1')
      .option(
        '--public-url <url>',
        'where browsers reach the pages (ENTRA_SYNC_PUBLIC_URL), with a path where a proxy gives one; default: http://localhost and the port',
      )
      .option(
        '--metrics-port <n>',
        'port of /livez, /readyz and /metrics, 0 for any free one; without it there are none',
        parsePort,
      )
      .option('--metrics-host <address>', 'address of these; 0.0.0.0 in a container', '127.0.0.1')
      .option('--local', 'listen on loopback alone, without a sign-in')
      .option(
        '--as <account>',
        'with --local the portal as this person sees it: account id, object id, address or name',
      )
      // No default: on another database than the demo's the name has to be given.
      .option('--actor <name>', 'with --local the person who acts; default on the database of the demo: the login name')
      .action((options: WebOptions) =>
        runVerb(options, (run) => {
          if (options.local) return serveLocally(run, options);
          if (options.as === undefined) return serve(run, options);
          throw new ExpectedError('usage', '--as is for --local alone', {
            cure: 'entra-sync web --local --as ACCOUNT',
          });
        }),
      )
      .addCommand(sessionsCommand())
      // Options behind `web sessions` are that verb's.
      .enablePositionalOptions()
  );
}

function parseParts(text: string): WebPart[] {
  const words = text.split(',').map((one) => one.trim());
  const parts = webParts.filter((one) => words.includes(one));
  if (parts.length > 0 && words.every((one) => parts.includes(one as WebPart))) return parts;
  throw new InvalidArgumentError(`write one or more of ${webParts.join(', ')}, separated by commas`);
}

async function serve(run: Run, options: WebOptions): Promise<undefined> {
  const { terminal, environment } = run;
  const { variables } = environment;
  if (environment.databaseUrl === undefined) {
    throw new ExpectedError('database_unreachable', 'web needs a database server: DATABASE_URL is not set', {
      cure: 'set it, and run entra-sync migrate once; or entra-sync web --local',
    });
  }
  const { host, port } = options;
  if (port === 0) {
    throw new ExpectedError('usage', 'Microsoft cannot send browsers back to a port that is not known in advance', {
      cure: 'give a --port',
    });
  }
  // A service logs its work unless LOG_LEVEL says otherwise.
  const log = createLog(variables.LOG_LEVEL ? environment.logLevel : 'info');
  const url = readPublicUrl(variables, options.publicUrl, port);
  const trustedProxies = readTrustedProxies(variables);
  const remark = await useProxyOf(environment);
  if (remark) terminal.note(remark);
  const { database } = await run.database({ anySchema: true });
  const metrics = openWebMetrics(database);
  const portalRole = readPortalRole(variables);
  const parts = options.parts ?? webParts.filter((one) => one !== 'portal' || portalRole !== undefined);
  const withPortal = parts.includes('portal');
  if (withPortal && portalRole === undefined) throw roleMissing();
  const given = { url, database, log, onSignIn: metrics.onSignIn, portalRole };
  const kinds = { console: parts.includes('console'), portal: withPortal };
  const signedIn = kinds.console || kinds.portal ? await openSignedInPart(environment, given, kinds) : undefined;
  const beside = signedIn && { console: kinds.console, people: withPortal, allowUrl: signedIn.allowUrl };
  const consent = parts.includes('connect')
    ? await openConsentPart(run, { url, brand: {}, waitMs: usualWaitMs, database, log, beside })
    : undefined;
  const served = [signedIn?.part, consent?.part].filter((one) => one !== undefined);
  const ready = () => requireCurrentSchema(database);
  const server = await serveWeb({ url, host, port, log, parts: served, ready, trustedProxies, metrics });
  run.onEnd(() => server.close());
  if (options.metricsPort !== undefined) {
    const notReady = () =>
      ready().then(
        () => undefined,
        () => 'the database does not answer, or has another schema',
      );
    const at = { host: options.metricsHost, port: options.metricsPort };
    const operations = await serveOperations({ ...at, notReady, metrics, log });
    run.onEnd(operations.close);
    terminal.note(`metrics at ${operations.address}/metrics`);
  }
  const stopped = new Promise<'stopped'>((resolve) => {
    run.signal.addEventListener('abort', () => resolve('stopped'), { once: true });
  });
  const begun = await Promise.race([awaitDatabase(ready, { log, signal: run.signal }), stopped]);
  if (begun !== 'stopped') {
    if (withPortal && portalRole !== undefined) await requirePortalRole(database, portalRole);
    const redirects = [signedIn?.redirectUri, consent?.redirectUri].filter((one) => one !== undefined);
    terminal.answer({ listening: server.address, public_url: url, parts, redirect_uris: redirects });
    terminal.say(`Served at ${server.address}, for browsers at ${url}: ${parts.join(', ')}`);
    if (signedIn) terminal.note(noteOf(signedIn));
    if (consent) terminal.note(`The application needs the redirect address ${consent.redirectUri} (platform: Web).`);
    await stopped;
  }
  terminal.note('stopped');
}

function noteOf({ redirectUri, ownRegistration }: OpenedPages): string {
  const advice = ownRegistration
    ? ''
    : ' People sign in to the application that reads directories -> a registration of its own for sign-in, ENTRA_SYNC_SIGN_IN_CLIENT_ID (docs/web.md)';
  return `The application that people sign in to needs the redirect address ${redirectUri} (platform: Web).${advice}`;
}
