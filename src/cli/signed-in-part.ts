// The pages behind a sign-in with Microsoft as a part of the web: the console, the portal, or both.
import { openSignIn } from '../app.ts';
import { type Environment, readOpsTenant } from '../environment.ts';
import type { Log } from '../logger.ts';
import type { Database } from '../store/database/pool.ts';
import type { Part } from '../web/part.ts';
import { pagesPart } from '../web/serve-pages.ts';
import { enteredPath, type SignInOptions, signInEntrance } from '../web/sign-in.ts';
import { readWebLanguages } from '../web/web-language.ts';
import { testSender } from './test-message.ts';
import { servedBy } from './web-parts.ts';

export type OpenedPages = {
  readonly part: Part;
  /** The redirect address that the application needs. */
  readonly redirectUri: string;
  /** Whether people sign in to an application that reads no directory. */
  readonly ownRegistration: boolean;
  /** Returns where an administrator allows the sign-in, if that is an application of its own. */
  readonly allowUrl: (() => string) | undefined;
};

/** Opens the pages at `url`. Throws `usage` for a missing credential. */
export async function openSignedInPart(
  environment: Environment,
  given: {
    readonly url: string;
    readonly database: Database;
    readonly log: Log;
    readonly onSignIn: SignInOptions['onSignIn'];
    /** The role of the database that the portal takes. */
    readonly portalRole: string | undefined;
  },
  kinds: Parameters<typeof servedBy>[0],
): Promise<OpenedPages> {
  const { url, database, log, onSignIn, portalRole } = given;
  const redirectUri = `${url}${enteredPath}`;
  const { signIn, ownRegistration } = openSignIn(environment, redirectUri);
  const opsTenant = readOpsTenant(environment.variables);
  const languages = await readWebLanguages();
  const entrance = signInEntrance({ database, signIn, url, log, languages, opsTenant, onSignIn });
  const cookie = url.startsWith('https:') ? '__Host-entra-sync-session' : 'entra-sync-session';
  const part = pagesPart({
    ...{ database, log, url, cookie, entrance, languages, contractRole: portalRole },
    ...servedBy(kinds),
    consentUrl: url,
    sendTest: testSender(environment.variables),
  });
  const allowUrl = ownRegistration ? () => signIn.signInConsentUrl() : undefined;
  return { part, redirectUri, ownRegistration, allowUrl };
}
