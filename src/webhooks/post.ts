// One POST to a webhook: no redirect is followed, and the connection goes to an address that was checked.
import http from 'node:http';
import https from 'node:https';
import { allowed, checkedLookup, isRefusedLiteral, RefusedAddress } from './addresses.ts';

export type Answer = {
  /** Null: no answer came. */
  readonly status: number | null;
  /** Why no answer came, or why the answer counts for none. */
  readonly problem: string | null;
  /** The first 200 characters of the answer. */
  readonly answer: string | null;
  /** Seconds of Retry-After. */
  readonly retryAfter: number | undefined;
  readonly ms: number;
};

export type PostOptions = {
  readonly insecureLocal: boolean;
  readonly signal: AbortSignal;
  /**
   * The hosts that webhooks may name where a proxy connects for us: the proxy looks the name up, so no address can be
   * checked. Undefined: there is no proxy.
   */
  readonly proxiedHosts?: readonly string[] | undefined;
  /** The time for connection, TLS and answer, in milliseconds. */
  readonly withinMs?: number | undefined;
};

const answerMs = 15_000;
const shownAnswer = 200;
// A longer text is cut off: an answer without an end must not hold the connection.
const readAnswer = 16_384;

/** Sends a message and returns the answer. Throws only when the signal ends it. */
export async function post(
  address: string,
  message: { readonly body: string; readonly headers: Readonly<Record<string, string>> },
  options: PostOptions,
): Promise<Answer> {
  const began = performance.now();
  const { signal, withinMs = answerMs } = options;
  const ended = (found: Omit<Answer, 'ms'>): Answer => ({ ...found, ms: Math.round(performance.now() - began) });
  const none = (problem: string) => ended({ status: null, problem, answer: null, retryAfter: undefined });
  try {
    return ended(
      await send(new URL(address), message, options, AbortSignal.any([signal, AbortSignal.timeout(withinMs)])),
    );
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RefusedAddress) return none(error.message);
    const { code, name } = error as NodeJS.ErrnoException;
    if (name === 'TimeoutError' || name === 'AbortError') return none(`no answer within ${withinMs / 1_000} s`);
    return none(`no connection (${code ?? name})`);
  }
}

function send(
  url: URL,
  { body, headers }: { readonly body: string; readonly headers: Readonly<Record<string, string>> },
  { insecureLocal, proxiedHosts }: PostOptions,
  signal: AbortSignal,
): Promise<Omit<Answer, 'ms'>> {
  const isPlain = url.protocol === 'http:';
  const may = allowed(insecureLocal);
  if (isPlain && !insecureLocal) throw new RefusedAddress('it is not https');
  const byProxy = proxiedHosts !== undefined && !insecureLocal;
  if (byProxy && !proxiedHosts.includes(url.hostname.toLowerCase()))
    throw new RefusedAddress('a proxy is set, and ENTRA_SYNC_WEBHOOK_HOSTS does not name its host');
  if (!byProxy && isRefusedLiteral(url, may)) throw new RefusedAddress('it is no address that webhooks may go to');
  const { request } = isPlain ? http : https;
  return new Promise((resolve, reject) => {
    const sending = request(
      url,
      {
        method: 'POST',
        signal,
        headers: { 'content-type': 'application/json', 'user-agent': 'entra-sync', ...headers },
        // A connection of its own each time, so that each was checked. The agent of the process knows the proxy.
        ...(!byProxy && { agent: false as const, lookup: checkedLookup(may) }),
      },
      (response) => {
        const status = response.statusCode ?? 0;
        const retryAfter = secondsOf(response.headers['retry-after']);
        let text = '';
        response.setEncoding('utf8');
        const end = () => {
          const answer = [...text].slice(0, shownAnswer).join('');
          const problem = status >= 300 && status < 400 ? 'it redirects, which is not followed' : null;
          resolve({ status, problem, answer: answer.replaceAll(/\p{Cc}+/gu, ' '), retryAfter });
        };
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length < readAnswer) return;
          response.destroy();
          end();
        });
        response.on('end', end);
        response.on('error', reject);
      },
    );
    // Node closes a connection that changes its protocol, without a word to the request.
    sending.on('upgrade', ({ statusCode = 101 }, socket) => {
      socket.destroy();
      resolve({ status: statusCode, problem: 'it changes the protocol', answer: null, retryAfter: undefined });
    });
    sending.on('error', reject);
    // Whatever became of the request, the time for it ends.
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    sending.end(body);
  });
}

function secondsOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = /^\d{1,6}$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1_000;
  return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined;
}
