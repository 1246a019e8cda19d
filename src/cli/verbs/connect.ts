// `connect`: the page where a customer's administrator consents, and the invitations to it.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { openBasics, openConsent } from '../../app.ts';
import { type BrandOptions, readBrand } from '../../connect/brand.ts';
import { readLanguages } from '../../connect/language.ts';
import { callbackPath, serveConsent } from '../../connect/server.ts';
import { openSteps } from '../../connect/steps.ts';
import { describeRegistration } from '../../engine/registration.ts';
import { readPublicUrl, requireTenantId } from '../../environment.ts';
import { ExpectedError } from '../../errors.ts';
import { createLog } from '../../logger.ts';
import { useProxyOf } from '../../proxy.ts';
import { durationMs } from '../../settings/schema.ts';
import { requireCurrentSchema } from '../../store/schema/migrate.ts';
import { createInvitation, withdrawInvitations } from '../../store/tenants/invitations.ts';
import { readRegistration } from '../../store/tenants/registrations.ts';
import { addTenant, findTenant, tenantsOfCustomer } from '../../store/tenants/tenants.ts';
import { awaitDatabase } from '../../worker/await-database.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { plural } from '../format.ts';

type ConnectOptions = VerbOptions &
  BrandOptions & {
    port: number;
    host: string;
    publicUrl?: string;
    wait: number;
    printUrl?: boolean;
    withdraw?: boolean;
    ref?: string;
    name?: string;
    tenant?: string;
    expires: number;
  };

export function connectCommand(): Command {
  return verb(
    'connect',
    "Serve the page where customers' administrators consent, until Ctrl-C; or print an invitation to it with --print-url. " +
      'The application needs PUBLIC-URL/callback as a redirect address (web). Put a reverse proxy with TLS in front.',
    [
      'connect --public-url https://connect.example.com --product "Example Signatures"',
      'connect --logo logo.svg --color "#5b2d90" --contact support@example.com --return-url https://app.example.com',
      'connect --print-url --ref customer-17 --name Contoso',
      'connect --print-url --ref customer-17 --tenant 2f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e21 --expires 2d',
      'connect --withdraw --ref customer-17',
    ],
    { acts: true },
  )
    .option('--port <n>', 'port to listen on, 0 for any free one', port, 8080)
    .option('--host <address>', 'address to listen on; 0.0.0.0 in a container', '127.0.0.1')
    .option(
      '--public-url <url>',
      'where browsers reach the page (ENTRA_SYNC_PUBLIC_URL); default: http://localhost and the port',
    )
    .option(
      '--product <name>',
      'the product that asks for consent, as customers know it (ENTRA_SYNC_PRODUCT); default: entra-sync',
    )
    .option('--logo <file>', 'its logo, a PNG, JPEG, WebP or SVG file (ENTRA_SYNC_LOGO)')
    .option('--color <#rrggbb>', 'the colour of its buttons and links (ENTRA_SYNC_COLOR)')
    .option('--contact <address>', 'where to ask about it: a mail address, or https (ENTRA_SYNC_CONTACT)')
    .option('--privacy-url <url>', 'its privacy statement, https (ENTRA_SYNC_PRIVACY_URL)')
    .option('--terms-url <url>', 'its terms, https (ENTRA_SYNC_TERMS_URL)')
    .option('--return-url <url>', 'the way back to it from the last page, https (ENTRA_SYNC_RETURN_URL)')
    .addOption(
      new Option('--wait <duration>', 'how long to wait until a new consent shows in a token')
        .argParser(duration('0s', '5m'))
        .default(30_000, '30s'),
    )
    .option('--print-url', 'print an invitation instead: a signed link that expires')
    .option('--withdraw', 'withdraw all invitations of --ref instead')
    .option('--ref <ref>', 'the id of the invited customer in your own system')
    .option('--name <name>', 'the name of the customer; the tenant gets this name')
    .option('--tenant <id>', 'the only tenant that may be connected; it is registered at once, as pending')
    .addOption(
      new Option('--expires <duration>', 'how long the invitation is valid')
        .argParser(duration('1m', '90d'))
        .default(7 * 86_400_000, '7d'),
    )
    .action((options: ConnectOptions) =>
      runVerb(options, async (run) => {
        requireDatabaseUrl(run);
        if (options.printUrl) return invite(run, options);
        return options.withdraw ? withdraw(run, options) : serve(run, options);
      }),
    );
}

function port(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('a whole number from 0 to 65535 is needed');
}

function duration(least: string, most: string) {
  return (text: string): number => {
    const ms = durationMs(text);
    if (ms !== undefined && ms >= Number(durationMs(least)) && ms <= Number(durationMs(most))) return ms;
    throw new InvalidArgumentError(`a number with s, m, h or d is needed, from ${least} to ${most}`);
  };
}

function requireDatabaseUrl({ environment }: Run): void {
  if (environment.databaseUrl !== undefined) return;
  throw new ExpectedError('database_unreachable', 'connect needs a database server: DATABASE_URL is not set', {
    cure: 'set it, and run entra-sync migrate once (docs/connect.md)',
  });
}

function requireRef(options: ConnectOptions): string {
  const ref = options.ref?.trim() ?? '';
  if (ref !== '' && ref.length <= 200 && !/\p{Cc}/u.test(ref)) return ref;
  throw new ExpectedError('usage', 'no customer was named, and an invitation is for one customer', {
    cure: "give --ref CUSTOMER, the customer's id in your own system",
  });
}

async function invite(run: Run, options: ConnectOptions): Promise<undefined> {
  const { terminal, environment, actor } = run;
  const ref = requireRef(options);
  const name = options.name === undefined ? null : checkedName(options.name);
  const wanted = options.tenant === undefined ? null : requireTenantId(options.tenant, '--tenant');
  const url = readPublicUrl(environment.variables, options.publicUrl, options.port);
  const { database } = await run.database();
  if (wanted !== null) await registerPending();
  const known = await tenantsOfCustomer(database, ref);
  const invitation = await createInvitation(database, {
    ref,
    name,
    tenantId: wanted,
    expiresInMs: options.expires,
    actor,
  });
  const link = (await openSteps(database)).urlOf({ url }, invitation);
  terminal.answer({ url: link, ref, name, tenant_id: wanted, expires_at: invitation.expires_at });
  terminal.print(link);
  terminal.note(
    `for ${name ?? ref}, valid until ${invitation.expires_at.toISOString()}; this link is all one needs to connect a tenant for this customer, ` +
      'so send it to the administrator alone',
  );
  if (new URL(url).hostname === 'localhost') {
    terminal.note(
      `the link leads to ${url}, which only this machine reaches -> set ENTRA_SYNC_PUBLIC_URL to where browsers reach connect`,
    );
  }
  if (wanted === null && known.length > 0) {
    terminal.note(`${ref} already has ${plural(known.length, 'tenant')}: ${known.map((one) => one.name).join(', ')}`);
  }

  async function registerPending(): Promise<void> {
    const tenantId = String(wanted);
    const { defaults } = openBasics(environment);
    const there = await findTenant(database, tenantId).catch((error: unknown) => {
      // The vendor names the tenant here, and that overrides a waiting consent.
      if (error instanceof ExpectedError && ['unknown_name', 'consent_waiting'].includes(error.code)) return undefined;
      throw error;
    });
    if (!there) return addTenant(database, { tenantId, name: name ?? ref, ref }, defaults);
    if (there.external_ref === ref) return;
    throw new ExpectedError(
      'tenant_exists',
      `tenant ${tenantId} is registered ${there.external_ref === null ? 'without a customer' : `for customer ${there.external_ref}`}`,
      { cure: `entra-sync tenant rename ${tenantId} --ref ${JSON.stringify(ref)} assigns it to this customer` },
    );
  }
}

function checkedName(text: string): string {
  const name = text.trim();
  if (name !== '' && name.length <= 200 && name.isWellFormed() && !/\p{Cc}/u.test(name)) return name;
  throw new ExpectedError('usage', 'the name must have 1 to 200 printable characters', { cure: 'give it with --name' });
}

async function withdraw(run: Run, options: ConnectOptions): Promise<undefined> {
  const ref = requireRef(options);
  const { database } = await run.database();
  const withdrawn = await withdrawInvitations(database, ref);
  run.terminal.answer({ ref, withdrawn });
  run.terminal.say(`${plural(withdrawn, 'invitation')} of ${ref} withdrawn`);
}

// Four waits, each twice the previous: 1 + 2 + 4 + 8 parts of the whole.
const waits = { retries: 4, parts: 15 };

async function serve(run: Run, options: ConnectOptions): Promise<undefined> {
  const { terminal, environment } = run;
  const { defaults } = openBasics(environment);
  // A service logs its work unless LOG_LEVEL says otherwise.
  const log = createLog(environment.variables.LOG_LEVEL ? environment.logLevel : 'info');
  const url = readPublicUrl(environment.variables, options.publicUrl, options.port);
  if (options.port === 0 && options.publicUrl === undefined && !environment.variables.ENTRA_SYNC_PUBLIC_URL) {
    throw new ExpectedError('usage', 'Microsoft cannot send browsers back to a port that is not known in advance', {
      cure: 'give a --port, or --public-url',
    });
  }
  const brand = readBrand(environment.variables, options);
  const languages = await readLanguages();
  const remark = await useProxyOf(environment);
  if (remark) terminal.note(remark);
  const redirectUri = `${url}${callbackPath}`;
  const consent = openConsent(environment, redirectUri);
  const { database } = await run.database({ anySchema: true });
  const server = await serveConsent(
    {
      database,
      defaults,
      log,
      site: { url, brand },
      languages,
      ...consent,
      patience: { retries: options.wait === 0 ? 0 : waits.retries, firstWaitMs: options.wait / waits.parts },
      signal: run.signal,
    },
    {
      host: options.host,
      port: options.port,
      authorityHost: consent.authorityHost,
      ready: () => requireCurrentSchema(database),
    },
  ).catch((error: unknown) => {
    const code = (error as { code?: unknown }).code;
    if (typeof code !== 'string' || !['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND'].includes(code)) throw error;
    throw new ExpectedError('usage', `cannot listen on ${options.host} port ${options.port} (${code})`, {
      cure: 'choose others with --host and --port',
      cause: error,
    });
  });
  run.onEnd(() => server.close());
  const register = async () => {
    await requireCurrentSchema(database);
    return describeRegistration(await readRegistration(database, consent.signIn.clientId()));
  };
  const stopped = new Promise<undefined>((resolve) => {
    run.signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const registration = await Promise.race([awaitDatabase(register, { log, signal: run.signal }), stopped]);
  if (!registration) {
    terminal.note('stopped');
    return;
  }
  terminal.answer({ listening: server.address, public_url: url, redirect_uri: redirectUri });
  terminal.say(`The consent page is served at ${server.address}, for browsers at ${url}`);
  terminal.note(
    `The application needs the redirect address ${redirectUri} (platform: Web). entra-sync connect --print-url --ref CUSTOMER invites a customer. Ctrl-C ends it.`,
  );
  const { says, cure } = registration;
  terminal.note(`${says}${cure === undefined ? '' : ` -> ${cure}`}`);
  await stopped;
  terminal.note('stopped');
}
