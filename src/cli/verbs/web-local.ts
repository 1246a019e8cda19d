// `web --local`: the console on this machine, or with `--as` the portal as a person, for the browser that opens the printed address.
import { createInterface } from 'node:readline';
import { readPortalRole, readPublicUrl } from '../../environment.ts';
import { ExpectedError } from '../../errors.ts';
import { createLog } from '../../logger.ts';
import { commandWord } from '../../rules/shell.ts';
import type { Database } from '../../store/database/pool.ts';
import { isOfDemo } from '../../store/embedded/demo-mark.ts';
import { requireCurrentSchema } from '../../store/schema/migrate.ts';
import { makePortalRole, requirePortalRole } from '../../store/schema/portal-role.ts';
import { lookAtSignIn } from '../../store/web/sessions.ts';
import { consoleFrame } from '../../web/console/frame.ts';
import { consolePages, startOf } from '../../web/console/pages.ts';
import { type LocalPerson, localEntrance, openLocalEntry } from '../../web/local.ts';
import { portalFrame } from '../../web/portal/frame.ts';
import { portalPages, portalStartOf } from '../../web/portal/pages.ts';
import { pagesPart } from '../../web/serve-pages.ts';
import { serveWeb } from '../../web/server.ts';
import { newCookie } from '../../web/session.ts';
import { readWebLanguages } from '../../web/web-language.ts';
import { pickAccount } from '../accounts.ts';
import type { Run } from '../command.ts';
import { testSender } from '../test-message.ts';

export type LocalOptions = { readonly port: number; readonly actor?: string; readonly as?: string };

/** Serves on loopback until Ctrl-C. Throws `usage` without an actor, but on the database of the demo. */
export async function serveLocally(run: Run, options: LocalOptions): Promise<undefined> {
  const { terminal } = run;
  const { port } = options;
  // The pages know their own address from the start.
  if (port === 0) {
    throw new ExpectedError('usage', 'web cannot listen on a port that is not known in advance', {
      cure: 'give a --port',
    });
  }
  const { database } = await run.database();
  const ofDemo = await isOfDemo(database);
  if (options.actor === undefined && !ofDemo) {
    throw new ExpectedError('usage', "this database is not the demo's, and no name was given for what is done in it", {
      cure: 'entra-sync web --local --actor NAME',
    });
  }
  const local = await openLocalWeb(run, { database, port, as: options.as, ofDemo });
  terminal.answer({ listening: local.address, enter: local.newAddress() });
  if (!terminal.json) {
    terminal.say(
      'Open this address in a browser. It is valid once, for a minute; Enter shows another, Ctrl-C ends it.',
    );
    inviteBy(run, local);
  }
  await new Promise<void>((resolve) => run.signal.addEventListener('abort', () => resolve(), { once: true }));
  terminal.note('stopped');
}

export type LocalWeb = {
  readonly address: string;
  /** Returns an address that lets one browser in, and ends the one before it. */
  newAddress(): string;
};

/** Serves the console on loopback, or the portal of the person `as`, until the verb ends. */
export async function openLocalWeb(
  run: Run,
  given: { database: Database; port: number; as?: string | undefined; ofDemo: boolean },
): Promise<LocalWeb> {
  const { database, port, as, ofDemo } = given;
  const { variables } = run.environment;
  const log = createLog(run.environment.logLevel);
  const entry = openLocalEntry();
  const url = `http://127.0.0.1:${port}`;
  const person = as === undefined ? undefined : await personOf(run, database, as);
  const served = person
    ? {
        ...{ pages: portalPages, frame: portalFrame, start: portalStartOf },
        contractRole: await roleOf(run, database),
        // A saved value counts as the person's own act, so saving is for the demo alone.
        standing: { actor: run.actor, looksOnly: !ofDemo },
      }
    : { pages: consolePages, frame: consoleFrame, start: startOf };
  const part = pagesPart({
    ...{ database, log, url, languages: await readWebLanguages(), ...served },
    // Cookies are shared by all ports of a host, so this process has a name of its own.
    cookie: `entra-sync-${newCookie().slice(0, 12)}`,
    entrance: localEntrance(database, entry, run.actor, person),
    consentUrl: variables.ENTRA_SYNC_PUBLIC_URL ? readPublicUrl(variables, undefined, port) : undefined,
    onlyHost: `127.0.0.1:${port}`,
    sendTest: testSender(variables),
  });
  const ready = () => requireCurrentSchema(database);
  const server = await serveWeb({ url, host: '127.0.0.1', port, log, parts: [part], ready });
  run.onEnd(() => server.close());
  return { address: server.address, newAddress: () => `${url}${entry.newPath()}` };
}

/** Prints an address of the local entrance, and another for each Enter. */
export function inviteBy({ terminal, onEnd }: Run, { newAddress }: LocalWeb): void {
  const invite = () => terminal.print(newAddress());
  invite();
  const lines = createInterface({ input: process.stdin });
  lines.on('line', invite);
  onEnd(async () => lines.close());
}

/** Returns the person whose portal is shown; throws for an account that could not sign in. */
async function personOf(run: Run, database: Database, word: string): Promise<LocalPerson> {
  const picked = await pickAccount(run.terminal, database, null, word);
  if (!picked) {
    throw new ExpectedError('unknown_name', `no account is called ${word.slice(0, 80)}`, {
      cure: `entra-sync find ${commandWord(word.slice(0, 80))}`,
    });
  }
  const { account_id: accountId, tenant_id: tenantId, entra_object_id: objectId } = picked.account;
  const refused = (why: string) =>
    new ExpectedError('usage', `the portal lets ${word.slice(0, 80)} not in: ${why}`, { cure: 'name another account' });
  if (objectId === null) throw refused('the account was made by hand, and no user of Entra ID signs in as it');
  const asPerson = { actor: run.actor, tenantId, objectId, ops: null, directoryRole: null } as const;
  const { roles } = await lookAtSignIn(database, asPerson);
  if (typeof roles === 'string') throw refused(`the account is ${roles}`);
  return { accountId, tenantId, objectId };
}

async function roleOf(run: Run, database: Database): Promise<string> {
  const named = readPortalRole(run.environment.variables);
  // An embedded database is this program's own, so its role is too.
  const isEmbedded = run.environment.databaseUrl === undefined;
  const role = named ?? (isEmbedded ? await makePortalRole(database, run.actor) : undefined);
  if (role === undefined) throw roleMissing();
  await requirePortalRole(database, role);
  return role;
}

/** The error of a portal whose role is not named. */
export const roleMissing = () =>
  new ExpectedError('usage', 'the portal takes a role of the database, and ENTRA_SYNC_PORTAL_ROLE names none', {
    cure: 'entra-sync grant ROLE --tenant-bound, grant ROLE to the login of DATABASE_URL, and set ENTRA_SYNC_PORTAL_ROLE=ROLE (docs/web.md)',
  });
