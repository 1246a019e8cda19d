// `connect`: the page where a customer's administrator consents, and the invitations to it.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { openBasics } from '../../app.ts';
import { readPublicUrl, readTrustedProxies, requireTenantId } from '../../environment.ts';
import { ExpectedError } from '../../errors.ts';
import { createLog } from '../../logger.ts';
import { useProxyOf } from '../../proxy.ts';
import { distinctAddresses, problemOfContacts } from '../../rules/contacts.ts';
import { durationMs } from '../../settings/durations.ts';
import { requireCurrentSchema } from '../../store/schema/migrate.ts';
import { withdrawInvitations } from '../../store/tenants/invitations.ts';
import { invite } from '../../store/tenants/invite.ts';
import { tenantsOfCustomer } from '../../store/tenants/tenants.ts';
import type { BrandOptions } from '../../web/brand.ts';
import { openSteps } from '../../web/connect/steps.ts';
import { serveWeb } from '../../web/server.ts';
import { awaitDatabase } from '../../worker/await-database.ts';
import { audited } from '../audited.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { openConsentPart, usualWaitMs } from '../consent-part.ts';
import { plural } from '../format.ts';
import { parsePort } from '../port.ts';

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
    contacts?: string[];
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
    .option('--port <n>', 'port to listen on, 0 for any free one', parsePort, 8080)
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
        .default(usualWaitMs, '30s'),
    )
    .option('--print-url', 'print an invitation instead: a signed link that expires')
    .option('--withdraw', 'withdraw all invitations of --ref instead')
    .option('--ref <ref>', 'the id of the invited customer in your own system')
    .option('--name <name>', 'the name of the customer; the tenant gets this name')
    .option('--contacts <address...>', 'mail addresses of the customer, told of lost consent and of removals that wait')
    .option('--tenant <id>', 'the only tenant that may be connected; it is registered at once, as pending')
    .addOption(
      new Option('--expires <duration>', 'how long the invitation is valid')
        .argParser(duration('1m', '90d'))
        .default(7 * 86_400_000, '7d'),
    )
    .action((options: ConnectOptions) =>
      runVerb(options, async (run) => {
        requireDatabaseUrl(run);
        if (options.printUrl) return printInvitation(run, options);
        return options.withdraw ? withdraw(run, options) : serve(run, options);
      }),
    );
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

async function printInvitation(run: Run, options: ConnectOptions): Promise<undefined> {
  const { terminal, environment, actor } = run;
  const ref = requireRef(options);
  const name = options.name === undefined ? null : checkedName(options.name);
  const wanted = options.tenant === undefined ? null : requireTenantId(options.tenant, '--tenant');
  const contacts = distinctAddresses(options.contacts ?? []);
  const problem = problemOfContacts(contacts);
  if (problem !== undefined)
    throw new ExpectedError('usage', problem, { cure: 'give addresses like it@example.com, at most 10' });
  const url = readPublicUrl(environment.variables, options.publicUrl, options.port);
  const { database } = await run.database();
  const known = await tenantsOfCustomer(database, ref);
  const { defaults } = openBasics(environment);
  const invitation = await invite(database, defaults, {
    ref,
    name,
    tenantId: wanted,
    expiresInMs: options.expires,
    contacts,
    actor,
  });
  await audited(run, database, { act: 'invitation.created', tenantId: wanted, detail: { ref } });
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
  await audited(run, database, { act: 'invitation.withdrawn', detail: { ref, withdrawn } });
  run.terminal.answer({ ref, withdrawn });
  run.terminal.say(`${plural(withdrawn, 'invitation')} of ${ref} withdrawn`);
}

async function serve(run: Run, options: ConnectOptions): Promise<undefined> {
  const { terminal, environment } = run;
  // A service logs its work unless LOG_LEVEL says otherwise.
  const log = createLog(environment.variables.LOG_LEVEL ? environment.logLevel : 'info');
  const url = readPublicUrl(environment.variables, options.publicUrl, options.port);
  if (options.port === 0 && options.publicUrl === undefined && !environment.variables.ENTRA_SYNC_PUBLIC_URL) {
    throw new ExpectedError('usage', 'Microsoft cannot send browsers back to a port that is not known in advance', {
      cure: 'give a --port, or --public-url',
    });
  }
  const remark = await useProxyOf(environment);
  if (remark) terminal.note(remark);
  const trustedProxies = readTrustedProxies(environment.variables);
  const { database } = await run.database({ anySchema: true });
  const { part, redirectUri, registration } = await openConsentPart(run, {
    ...{ url, brand: options, waitMs: options.wait, database, log },
  });
  const { host, port } = options;
  const ready = () => requireCurrentSchema(database);
  const server = await serveWeb({ url, host, port, log, parts: [part], ready, trustedProxies });
  run.onEnd(() => server.close());
  const register = () => ready().then(registration);
  const stopped = new Promise<undefined>((resolve) => {
    run.signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const seen = await Promise.race([awaitDatabase(register, { log, signal: run.signal }), stopped]);
  if (!seen) {
    terminal.note('stopped');
    return;
  }
  terminal.answer({ listening: server.address, public_url: url, redirect_uri: redirectUri });
  terminal.say(`The consent page is served at ${server.address}, for browsers at ${url}`);
  terminal.note(
    `The application needs the redirect address ${redirectUri} (platform: Web). entra-sync connect --print-url --ref CUSTOMER invites a customer. Ctrl-C ends it.`,
  );
  const { says, cure } = seen;
  terminal.note(`${says}${cure === undefined ? '' : ` -> ${cure}`}`);
  await stopped;
  terminal.note('stopped');
}
