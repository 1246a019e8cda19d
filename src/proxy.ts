// Proxies: fetch ignores the environment's proxy by default. Sign-in and Graph both use fetch (graph/identity-http.ts).
import { once } from 'node:events';
import http from 'node:http';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Environment } from './environment.ts';
import { ExpectedError } from './errors.ts';
import { type NamedProxy, type Proxies, proxyForm, readProxies } from './rules/proxies.ts';

/** Whether the environment names a proxy for Graph. Throws `usage` for a wrong address. */
export function namesProxy(variables: NodeJS.ProcessEnv): boolean {
  return proxiesOf(variables).https !== undefined;
}

/**
 * Sends fetch through the proxy of HTTPS_PROXY, except to the hosts of NO_PROXY. Returns a remark if this Node cannot
 * (before 24.14 it needs NODE_USE_ENV_PROXY=1 at its start). Throws `usage` for a wrong address, and for an https:// one
 * whose proxy speaks no TLS.
 */
export async function useProxyOf({ variables }: Pick<Environment, 'variables'>): Promise<string | undefined> {
  const proxies = proxiesOf(variables);
  const { https, http: plain, noProxy } = proxies;
  if (!https && !plain) return undefined;
  if (https?.url.startsWith('https:')) await requireTls(https);
  const { setGlobalProxyFromEnv } = http as { setGlobalProxyFromEnv?: (environment: NodeJS.ProcessEnv) => unknown };
  if (setGlobalProxyFromEnv) {
    setGlobalProxyFromEnv({
      ...(https && { https_proxy: https.url }),
      ...(plain && { http_proxy: plain.url }),
      no_proxy: noProxy,
    });
    return undefined;
  }
  return variables.NODE_USE_ENV_PROXY === '1'
    ? undefined
    : `a proxy is set, and Node ${process.versions.node} uses it only with NODE_USE_ENV_PROXY=1 in the environment`;
}

function proxiesOf(variables: NodeJS.ProcessEnv): Proxies {
  const read = readProxies(variables);
  if (!('problem' in read)) return read;
  throw new ExpectedError('usage', `${read.variable} ${read.problem}`, { cure: read.cure });
}

// A plain proxy waits for the end of a line that a TLS handshake does not have, so each request would take its whole
// time limit. A proxy that is not there says nothing here: it may come up later.
async function requireTls({ variable, url }: NamedProxy): Promise<void> {
  if ((await speaksTls(url)) || !(await speaksHttp(url))) return;
  throw new ExpectedError('usage', `the proxy of ${variable} speaks no TLS`, {
    cure: `write http:// in place of https://, like ${proxyForm}`,
  });
}

const answerWithinMs = 3_000;

async function speaksTls(url: string): Promise<boolean> {
  const { host, port } = addressOf(url);
  // Nothing is sent over this connection, and fetch checks the certificate of its own.
  const options = { host, port, rejectUnauthorized: false, ...(isIP(host) === 0 && { servername: host }) };
  return answers(connectTls(options), 'secureConnect', () => true);
}

async function speaksHttp(url: string): Promise<boolean> {
  const { host, port } = addressOf(url);
  const socket = connect({ host, port });
  socket.write(`OPTIONS * HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return answers(socket, 'data', (chunk) => /^HTTP\/\d/.test(String(chunk)));
}

async function answers(socket: Socket, event: string, judge: (first: unknown) => boolean): Promise<boolean> {
  socket.on('error', () => {});
  try {
    const [first] = await once(socket, event, { signal: AbortSignal.timeout(answerWithinMs) });
    return judge(first);
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (protocol === 'https:' ? 443 : 80) };
}
