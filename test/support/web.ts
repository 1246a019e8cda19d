// The web in this process: a server on a port of its own over a test's database, and browsers with sessions.
import { randomUUID } from 'node:crypto';
import { createLog } from '../../src/logger.ts';
import type { Database } from '../../src/store/database/pool.ts';
import type { NewSession } from '../../src/store/web/sessions.ts';
import { consoleFrame } from '../../src/web/console/frame.ts';
import { consolePages, startOf } from '../../src/web/console/pages.ts';
import { localEntrance, openLocalEntry } from '../../src/web/local.ts';
import { type PagesOptions, pagesPart } from '../../src/web/serve-pages.ts';
import { serveWeb } from '../../src/web/server.ts';
import { beginSession, tokenOfForms } from '../../src/web/session.ts';
import { readWebLanguages } from '../../src/web/web-language.ts';
import { freePort } from './free-port.ts';
import { inputFaults } from './inputs.ts';
import { openStore, type Store } from './stage.ts';

export type Answer = { status: number; text: string; headers: Headers };

/** The values of a form; a list sends its name once for each. */
type Form = Readonly<Record<string, string | readonly string[]>>;

export type WebBrowser = {
  readonly token: string;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  /** Sends a form as a page of ours does; `headers` and `form` replace what it sends. */
  post(path: string, form?: Form, headers?: Record<string, string>): Promise<Answer>;
};

export type Web = {
  readonly url: string;
  /** Returns a path of a new token of the local entrance. */
  enter(): string;
  /** Opens a session and returns a browser with its cookie. */
  browser(session?: Partial<NewSession>): Promise<WebBrowser>;
  /** Returns a browser with this cookie, or with none. */
  with(cookie?: string): WebBrowser;
  /** Returns the cookie of a new session. */
  cookie(session?: Partial<NewSession>): Promise<string>;
  close(): Promise<void>;
};

/** The web over a database of its own. */
export type OwnWeb = Web & { readonly store: Store };

export const cookieName = 'entra-sync-test';

/** Starts the web over a database of its own, with these pages or those of the console. */
export async function openWeb(
  pages: PagesOptions['pages'] = consolePages,
  more: Partial<PagesOptions> = {},
): Promise<OwnWeb> {
  const store = await openStore();
  const web = await serveOn(store.database, pages, more);
  return {
    ...web,
    store,
    close: async () => {
      await web.close();
      await store.close();
    },
  };
}

/** Starts the web over a database that the caller closes. `more`: another frame than the console's, and the like. */
export async function serveOn(
  database: Database,
  pages: PagesOptions['pages'] = consolePages,
  { trustedProxies = [], ...more }: Partial<PagesOptions> & { readonly trustedProxies?: readonly string[] } = {},
): Promise<Web> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const log = createLog('silent');
  const entry = openLocalEntry();
  const part = pagesPart({
    ...{ database, log, pages, url, cookie: cookieName, frame: consoleFrame, start: startOf },
    languages: await readWebLanguages(),
    entrance: localEntrance(database, entry, 'the operator'),
    onlyHost: `127.0.0.1:${port}`,
    consentUrl: url,
    ...more,
  });
  const ready = async () => {};
  const server = await serveWeb({ url, host: '127.0.0.1', port, log, parts: [part], ready, trustedProxies });
  const cookie = (session: Partial<NewSession> = {}) =>
    beginSession(database, {
      actor: 'test',
      tenantId: null,
      objectId: null,
      ops: null,
      directoryRole: null,
      ...session,
    });
  const browserWith = (value?: string): WebBrowser => {
    const token = value === undefined ? '' : tokenOfForms(value);
    const send = async (path: string, init: RequestInit): Promise<Answer> => {
      const headers = { ...(value !== undefined && { cookie: `${cookieName}=${value}` }), ...init.headers };
      const answer = await fetch(url + path, { ...init, redirect: 'manual', headers });
      const text = await answer.text();
      // Every page that a test asks for, so that no form is left out: those that come back too.
      const faults = answer.headers.get('content-type')?.startsWith('text/html') ? inputFaults(text) : [];
      if (faults.length > 0) throw new Error(`${path} has inputs that lack an attribute: ${faults.join(', ')}`);
      return { status: answer.status, headers: answer.headers, text };
    };
    return {
      token,
      get: (path, headers = {}) => send(path, { headers }),
      post: (path, form = {}, headers = {}) =>
        send(path, {
          method: 'POST',
          headers: { 'sec-fetch-site': 'same-origin', ...headers },
          body: new URLSearchParams(
            Object.entries({ _token: token, ...form }).flatMap(([name, value]) =>
              [value].flat().map((one): [string, string] => [name, one]),
            ),
          ),
        }),
    };
  };
  return {
    url,
    enter: () => entry.newPath(),
    cookie,
    browser: async (session) => browserWith(await cookie(session)),
    with: browserWith,
    close: () => server.close(),
  };
}

/** A sign-in of the vendor's people. */
export const ops = (ops: 'read' | 'act'): Partial<NewSession> => ({
  ops,
  tenantId: randomUUID(),
  objectId: randomUUID(),
  actor: `entra:${randomUUID()}/${randomUUID()}`,
});
