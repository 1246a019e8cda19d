// A part of the web: a set of routes with its own headers, refusals and pages, in the one process that server.ts starts.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

export type Part = {
  /** Adds routes, hooks and the handler of errors, all below the path of the public address. */
  register(app: FastifyInstance): Promise<void>;
  /** Answers an address that no route has, or that is malformed. */
  refuseAddress(request: FastifyRequest, reply: FastifyReply): FastifyReply;
};

/** The headers that every page of every part has beside its policy. `secure`: browsers come over https. */
export function securityHeaders(secure: boolean): Readonly<Record<string, string>> {
  return {
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
    'cache-control': 'no-store',
    ...(secure && { 'strict-transport-security': 'max-age=31536000' }),
  };
}

/**
 * Returns whether a request that acts comes from a page of ours. Pages without a referrer send `Origin: null`, so
 * Sec-Fetch-Site comes first.
 */
export function isOwnPage({ headers }: FastifyRequest, origin: string): boolean {
  const site = headers['sec-fetch-site'];
  return site === undefined ? headers.origin === origin : site === 'same-origin';
}

/** Returns the fields of a form; none for a request without a body. */
export const bodyOf = ({ body }: FastifyRequest) => (body ?? {}) as Readonly<Record<string, unknown>>;

/** Answers an address that asks too often. */
export function tooMany(reply: FastifyReply): FastifyReply {
  return reply
    .status(429)
    .header('retry-after', '60')
    .type('text/plain')
    .send('too many requests: try again in a minute\n');
}

/** Returns the stack of a defect without its message, which may quote input. */
export function placesOf(error: Error): string[] {
  return (error.stack ?? '')
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 8)
    .map((line) => line.trim());
}
