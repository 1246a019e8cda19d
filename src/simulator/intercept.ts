// Faults on demand: tests replace or alter the correct answer.
import type { IncomingHttpHeaders } from 'node:http';
import type { Answer } from './answers.ts';
import type { Exchange } from './server.ts';

export type InterceptedRequest = {
  method: string;
  /** Path and query, as sent. */
  url: string;
  headers: IncomingHttpHeaders;
  /** The tenant of the bearer token, or of the path of a sign-in request. */
  tenantId?: string;
  /** 1 for the first request since the start; parts of a `$batch` count. */
  number: number;
};

export type Intervention = {
  /** Default: 200 if `body` is given, else the status of the correct answer. */
  status?: number;
  headers?: Record<string, string>;
  /** Bytes and strings are sent unchanged, objects as JSON. Default: the correct body, if `status` is missing too. */
  body?: string | Uint8Array | object;
  /** Sends only this many bytes of the body, with the Content-Length of all, then cuts the socket. */
  cutAfterBytes?: number;
  /** Sends only this many bytes of the body and keeps the socket open. */
  stallAfterBytes?: number;
  delayMs?: number;
  /** Closes the socket without an answer. */
  destroy?: boolean;
  /** Resets the socket (RST) without an answer. */
  reset?: boolean;
  /** Sends no answer until the simulator closes. */
  hang?: boolean;
};

export type Intercept = (request: InterceptedRequest) => Intervention | undefined | Promise<Intervention | undefined>;
export type Transform = (request: InterceptedRequest, body: object) => object;

/** Returns a 429 in Graph's words. `retryAfter`: seconds (also a fraction) or an HTTP date; null for no header. */
export function throttled(retryAfter: number | string | null): Intervention {
  const innerError = { code: '429', message: 'Please retry after', status: '429' };
  const body = { error: { code: 'TooManyRequests', innerError, message: 'Please retry again later.' } };
  return { status: 429, body, ...(retryAfter === null ? {} : { headers: { 'Retry-After': String(retryAfter) } }) };
}

type Played = { method: string; url: string; headers: IncomingHttpHeaders; tenantId?: string };

export function createStage() {
  const interceptors: Intercept[] = [];
  const transforms: Transform[] = [];
  let count = 0;

  function adder<T>(list: T[]): (handler: T) => () => void {
    return (handler) => {
      list.push(handler);
      return () => {
        const index = list.lastIndexOf(handler);
        if (index >= 0) {
          list.splice(index, 1);
        }
      };
    };
  }

  function transformed(request: InterceptedRequest, answer: Answer): Answer {
    let { body } = answer;
    for (const transform of transforms) {
      if (answer.status === 200 && typeof body === 'object' && body !== null) {
        body = transform(request, body);
      }
    }
    return { ...answer, body };
  }

  async function play(played: Played, correct: () => Promise<Answer>): Promise<Exchange> {
    count += 1;
    const { method, url, headers, tenantId } = played;
    const request: InterceptedRequest = { method, url, headers, number: count, ...(tenantId ? { tenantId } : {}) };
    for (const intercept of [...interceptors]) {
      const intervention = await intercept(request);
      if (intervention) return intervene(intervention, async () => transformed(request, await correct()));
    }
    return { kind: 'answer', answer: transformed(request, await correct()) };
  }

  return { intercept: adder(interceptors), transform: adder(transforms), play };
}

async function intervene(intervention: Intervention, correct: () => Promise<Answer>): Promise<Exchange> {
  const { status, headers = {}, body, destroy, reset, hang } = intervention;
  if (destroy || reset || hang) return { kind: destroy ? 'destroy' : reset ? 'reset' : 'hang' };
  const own = status !== undefined || body !== undefined;
  const base = own ? { status: status ?? 200, body, headers: { 'Content-Type': 'application/json' } } : await correct();
  const answer = { ...base, headers: { ...base.headers, ...headers } };
  const { cutAfterBytes, stallAfterBytes, delayMs } = intervention;
  const partOf = cutAfterBytes ?? stallAfterBytes;
  return {
    kind: 'answer',
    answer,
    ...(delayMs !== undefined && { delayMs }),
    ...(partOf !== undefined && { part: { bytes: partOf, end: cutAfterBytes === undefined ? 'stall' : 'cut' } }),
  };
}
