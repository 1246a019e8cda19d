// Probes hosts for `doctor`: whether the name resolves, whether the connection is trusted, and the host's time.
import { lookup } from 'node:dns/promises';
import { ExpectedError } from '../errors.ts';
import { explainCertificate } from './certificate.ts';
import { networkCode } from './network-code.ts';
import { isProxyRefusal, proxyRefused } from './proxy-refused.ts';

/** Returns the addresses of an origin's host. Throws `graph_unavailable` if there are none. */
export async function lookUpHost(origin: string): Promise<string[]> {
  const { hostname } = new URL(origin);
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address);
  } catch (error) {
    throw new ExpectedError(
      'graph_unavailable',
      `the name ${hostname} cannot be resolved (${networkCode(error) ?? 'NO_ANSWER'})`,
      {
        cure: 'check the name server of this machine, or set HTTPS_PROXY if a proxy resolves names',
      },
    );
  }
}

/** A host's answer, whatever its status; `date` is its Date header in epoch milliseconds. */
export type HostAnswer = { readonly status: number; readonly date: number | undefined };

/** Asks `url` once, without a token. Throws `graph_unavailable` without an answer over a trusted connection. */
export async function askHost(url: string, signal: AbortSignal): Promise<HostAnswer> {
  const { origin } = new URL(url);
  try {
    const answer = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(askTimeoutMs)]),
    });
    await answer.body?.cancel();
    const date = Date.parse(answer.headers.get('date') ?? '');
    return { status: answer.status, date: Number.isNaN(date) ? undefined : date };
  } catch (error) {
    signal.throwIfAborted();
    const code = networkCode(error) ?? 'NO_ANSWER';
    if (isProxyRefusal(code)) throw proxyRefused(code);
    if (/CERT|SIGNATURE|SELF_SIGNED/.test(code)) {
      const { message, cure } = explainCertificate(origin, code);
      throw new ExpectedError('graph_unavailable', message, { cure });
    }
    throw new ExpectedError('graph_unavailable', `${origin} cannot be reached (${code})`, {
      cure: 'check the network, firewalls and HTTPS_PROXY: outgoing HTTPS to this host must be allowed',
    });
  }
}

const askTimeoutMs = 15_000;
