// Asks hosts the plainest things, for `doctor`: does the name exist, is the connection trusted, what time is it there.
import { lookup } from 'node:dns/promises';
import { ExpectedError } from '../errors.ts';
import { explainCertificate } from './certificate.ts';

/** The addresses of the host of an origin. Throws `graph_unavailable` when there are none. */
export async function lookUpHost(origin: string): Promise<string[]> {
  const { hostname } = new URL(origin);
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address);
  } catch (error) {
    throw new ExpectedError('graph_unavailable', `the name ${hostname} is not known (${codeOf(error)})`, {
      cure: 'check the name server of this machine, or set HTTPS_PROXY where a proxy looks names up',
    });
  }
}

/** What a host's answer tells, whatever its status: when it was sent by the host's own clock, if it says so. */
export type HostAnswer = { readonly status: number; readonly date: number | undefined };

/** Asks `url` once, without any token. Throws `graph_unavailable` when no answer came over a trusted connection. */
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
    const code = codeOf(error);
    if (/CERT|SIGNATURE|SELF_SIGNED/.test(code)) {
      const { message, cure } = explainCertificate(origin, code);
      throw new ExpectedError('graph_unavailable', message, { cure });
    }
    throw new ExpectedError('graph_unavailable', `${origin} cannot be reached (${code})`, {
      cure: 'check the network, firewalls and HTTPS_PROXY: HTTPS to this host must be let out',
    });
  }
}

const askTimeoutMs = 15_000;

function codeOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'TIMEOUT';
  for (let level: unknown = error; level instanceof Error; level = level.cause) {
    const { code } = level as { code?: unknown };
    if (typeof code === 'string') return code;
    if (level instanceof AggregateError && level.errors.length > 0) return codeOf(level.errors[0]);
  }
  return 'NO_ANSWER';
}
