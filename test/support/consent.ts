// A world for tests of the consent page: a simulated Entra ID with many tenants, a database, a real connect process, and
// browsers that keep cookies and follow redirects.

import { loadDefaults } from '../../src/settings/settings.ts';
import {
  createTenant,
  type Simulator,
  type SimulatorSettings,
  startSimulator,
  type Tenant,
} from '../../src/simulator/index.ts';
import { type Database, openDatabase, rows } from '../../src/store/database/pool.ts';
import { createInvitation } from '../../src/store/tenants/invitations.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { openSteps } from '../../src/web/connect/steps.ts';
import { type Running, startCli } from './cli.ts';
import { freePort } from './free-port.ts';
import { freshDatabase } from './postgres.ts';
import { trust } from './system.ts';

export type Shown = { status: number; url: string; text: string; headers: Headers };

export type ConsentWorld = {
  readonly simulator: Simulator;
  readonly database: Database;
  readonly environment: Record<string, string>;
  readonly running: Running;
  readonly url: string;
  /** Its own address, which may be behind the proxy of the public one. */
  readonly origin: string;
  /** Returns an unused tenant without consent. */
  nextTenant(): Tenant;
  /** Makes a link like `connect --print-url`, by default valid for an hour. */
  invite(ref: string, options?: { name?: string; tenantId?: string; expiresInMs?: number }): Promise<string>;
  registered(): Promise<{ tenant_id: string; name: string; status: string; external_ref: string | null }[]>;
  /** Registers a tenant like `tenant add`. */
  add(tenant: Tenant, ref: string | null): Promise<void>;
  close(): Promise<void>;
};

/** Starts everything; no tenant has consented. */
export async function openConsentWorld(
  options: {
    tenants?: number | readonly string[];
    simulator?: Partial<SimulatorSettings>;
    product?: string;
    publicUrl?: string;
    /** More arguments and variables of `connect`. */
    arguments?: readonly string[];
    variables?: Readonly<Record<string, string>>;
  } = {},
): Promise<ConsentWorld> {
  const { tenants: wanted = 1 } = options;
  const names = typeof wanted === 'number' ? Array.from({ length: wanted }, (_, index) => `Customer ${index}`) : wanted;
  const tenants = names.map((name, index) => createTenant({ seed: 700 + index, users: 3, groups: 1, name }));
  const simulator = await startSimulator({ consented: false, ...options.simulator, tenants });
  trust(simulator.certificate);
  const fresh = await freshDatabase();
  const database = openDatabase(fresh.url);
  const port = await freePort();
  const publicUrl = options.publicUrl ?? `http://localhost:${port}`;
  const url = publicUrl.replace(/\/$/, '');
  const environment = { ...simulator.environment(), DATABASE_URL: fresh.url, ENTRA_SYNC_PUBLIC_URL: publicUrl };
  const running = startCli(
    [
      'connect',
      '--port',
      String(port),
      '--host',
      'localhost',
      '--product',
      options.product ?? 'Example <Signatures>',
      '--wait',
      '1s',
      ...(options.arguments ?? []),
    ],
    { ...environment, ...options.variables },
  );
  await running.shows(/The consent page is served/);
  const left = [...tenants];
  return {
    simulator,
    database,
    environment,
    running,
    url,
    origin: `http://localhost:${port}`,
    nextTenant: () => {
      const tenant = left.shift();
      if (!tenant) throw new Error('no tenant is left: raise `tenants`');
      return tenant;
    },
    invite: async (ref, { name = null, tenantId = null, expiresInMs = 3_600_000 } = {}) => {
      const wanted = { ref, name, tenantId, expiresInMs, actor: 'test' };
      return (await openSteps(database)).urlOf({ url }, await createInvitation(database, wanted));
    },
    registered: () =>
      rows(database, 'select tenant_id, name, status, external_ref from directory.tenants order by name, tenant_id'),
    add: (tenant, ref) => addTenant(database, { tenantId: tenant.tenantId, name: tenant.name, ref }, loadDefaults()),
    close: async () => {
      running.interrupt();
      const ended = await running.ended;
      if (ended.code !== 0) throw new Error(`connect ended with ${ended.code}: ${ended.stderr}`);
      await database.destroy();
      await fresh.drop();
      await simulator.close();
    },
  };
}

export type Browser = {
  /** Opens an address and follows every redirect. */
  open(url: string): Promise<Shown>;
  /** Sends one request and follows no redirect. */
  ask(url: string, init?: RequestInit): Promise<Shown>;
  /** Presses the button of a form of ours; `headers` replace those of a browser. */
  press(page: Shown, label: string, headers?: Record<string, string>): Promise<Shown>;
  /** Presses the button; returns the redirect's address without following it. */
  leave(page: Shown, label: string): Promise<string>;
  choose(page: Shown, choice: string): Promise<Shown>;
  /** Opens the link; returns the redirect's address without following it. */
  chooseAndStop(page: Shown, choice: string): Promise<string>;
  readonly cookies: Map<string, string>;
};

/** Opens a browser without script, with cookies per host; `languages` is its Accept-Language. */
export function openBrowser(languages?: string): Browser {
  const cookies = new Map<string, string>();

  async function ask(url: string, init: RequestInit = {}): Promise<Shown> {
    const { host } = new URL(url);
    const own = [...cookies]
      .filter(([key]) => key.startsWith(`${host} `))
      .map(([key, value]) => `${key.split(' ')[1]}=${value}`);
    const headers = new Headers(init.headers);
    if (own.length > 0) headers.set('cookie', own.join('; '));
    if (languages !== undefined) headers.set('accept-language', languages);
    const answer = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const set of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      cookies.set(`${host} ${name}`, value);
    }
    return { status: answer.status, url, text: await answer.text(), headers: answer.headers };
  }

  async function follow(shown: Shown): Promise<Shown> {
    const location = shown.headers.get('location');
    if (shown.status < 300 || shown.status > 399 || location === null) return shown;
    return follow(await ask(new URL(location, shown.url).href));
  }

  function submit(page: Shown, label: string, headers: Record<string, string> = {}): Promise<Shown> {
    const form = formOf(page, label);
    return ask(new URL(form.action, page.url).href, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        origin: 'null',
        'sec-fetch-site': 'same-origin',
        ...headers,
      },
      body: new URLSearchParams(form.fields).toString(),
    });
  }

  const linkOf = (page: Shown, choice: string) => {
    const [, href = ''] = new RegExp(`data-choice="${choice}" href="([^"]*)"`).exec(page.text) ?? [];
    if (href === '') throw new Error(`no choice ${choice} on ${page.text}`);
    return new URL(href.replaceAll('&amp;', '&'), page.url).href;
  };
  const locationOf = (shown: Shown) => new URL(shown.headers.get('location') ?? '', shown.url).href;

  return {
    ask,
    open: async (url) => follow(await ask(url)),
    press: async (page, label, headers) => follow(await submit(page, label, headers)),
    leave: async (page, label) => locationOf(await submit(page, label)),
    choose: async (page, choice) => follow(await ask(linkOf(page, choice))),
    chooseAndStop: async (page, choice) => locationOf(await ask(linkOf(page, choice))),
    cookies,
  };
}

/** Returns the form with a button of this label. */
function formOf(page: Shown, label: string): { action: string; fields: Record<string, string> } {
  for (const [form = ''] of page.text.matchAll(/<form[\s\S]*?<\/form>/g)) {
    if (!form.includes(`>${label}</button>`)) continue;
    const [, action = ''] = /action="([^"]*)"/.exec(form) ?? [];
    const inputs = [...form.matchAll(/name="([^"]*)" value="([^"]*)"/g)].map(([, name = '', value = '']) => [
      name,
      value,
    ]);
    return { action, fields: Object.fromEntries(inputs) };
  }
  throw new Error(`no button ${label} on ${page.status} ${page.text}`);
}

/** Returns the name of a tenant's account of a kind (admin, roles, apps, user). */
export function principalOf(tenant: Tenant, kind = 'admin'): string {
  return `${kind}@${tenant.name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')}.example`;
}

/** Goes from an invitation to our page that offers consent. */
export async function signInAs(browser: Browser, invitation: string, principal: string): Promise<Shown> {
  const welcome = await browser.open(invitation);
  return browser.choose(await browser.press(welcome, 'Sign in with Microsoft'), principal);
}

/** Goes from an invitation to the consent page of the simulated Entra ID. */
export async function toConsent(browser: Browser, invitation: string, principal: string): Promise<Shown> {
  return browser.press(await signInAs(browser, invitation, principal), 'Continue to consent');
}
