// A plain client for the simulator's own tests: node:https with the simulator's certificate, nothing of the product.
import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import type { Simulator } from '../../../src/simulator/index.ts';

export type Reply = { status: number; headers: IncomingHttpHeaders; text: string };
export type Body = Record<string, unknown> & { value: Record<string, unknown>[] };
type Ask = {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  token?: string | null;
  tenantId?: string;
};

const agents = new WeakMap<Simulator, Agent>();

function agentOf(simulator: Simulator): Agent {
  const agent = agents.get(simulator) ?? new Agent({ ca: simulator.certificate, keepAlive: true });
  agents.set(simulator, agent);
  return agent;
}

/** Sends one request to a simulator, exactly as given: nothing is normalised, nothing is retried. */
export function send(simulator: Simulator, url: string, ask: Omit<Ask, 'token'> = {}): Promise<Reply> {
  const { port } = new URL(simulator.origin);
  const path = url.startsWith(simulator.origin) ? url.slice(simulator.origin.length) : url;
  return new Promise((resolve, reject) => {
    const agent = agentOf(simulator);
    // Node leaves the length of a DELETE's body out, which would make the body the next request.
    const length = ask.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(ask.body)) };
    const headers = { ...length, ...ask.headers };
    const options = { host: 'localhost', port, path, method: ask.method ?? 'GET', headers, agent };
    const outgoing = request(options, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(ask.body);
  });
}

/** Asks the token endpoint; the fields given replace the right ones. */
export function askToken(simulator: Simulator, fields: Record<string, string> = {}, tenantId?: string): Promise<Reply> {
  const environment = simulator.environment(tenantId);
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: environment.AZURE_CLIENT_ID ?? '',
    client_secret: environment.AZURE_CLIENT_SECRET ?? '',
    scope: `${simulator.origin}/.default`,
    ...fields,
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const path = `/${environment.AZURE_TENANT_ID}/oauth2/v2.0/token`;
  return send(simulator, path, { method: 'POST', headers, body: form.toString() });
}

/** A reader of Graph that signs in once per tenant. */
export function createReader(simulator: Simulator, tenantId?: string) {
  let token: string | undefined;

  async function ask(url: string, options: Ask = {}): Promise<Reply> {
    token ??= String(JSON.parse((await askToken(simulator, {}, tenantId)).text).access_token);
    const headers = { authorization: `Bearer ${token}`, ...options.headers };
    return send(simulator, url, { ...options, headers });
  }

  async function get(url: string, headers: Record<string, string> = {}): Promise<Body> {
    const reply = await ask(url, { headers });
    if (reply.status !== 200) {
      throw new Error(`${reply.status} ${reply.text}`);
    }
    return JSON.parse(reply.text);
  }

  /** Follows next links to the end, from a first URL or a delta link. */
  async function round(url: string, headers: Record<string, string> = {}) {
    const pages: Body[] = [];
    for (let next: unknown = url; typeof next === 'string'; ) {
      const page = await get(next, headers);
      pages.push(page);
      next = page['@odata.nextLink'];
      if (pages.length > 10_000) {
        throw new Error('A round without end.');
      }
    }
    const deltaLink = String(pages.at(-1)?.['@odata.deltaLink']);
    return { pages, value: pages.flatMap((page) => page.value), deltaLink };
  }

  return { ask, get, round, forgetToken: () => (token = undefined) };
}

/** The `error` object of a reply. */
export function errorOf(reply: Reply): { code: string; message: string; innerError: Record<string, unknown> } {
  return JSON.parse(reply.text).error;
}
