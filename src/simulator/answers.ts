// Answers in the words of Graph and Entra: one function per error.
import { randomUUID } from 'node:crypto';

export type Answer = { status: number; headers?: Readonly<Record<string, string>>; body?: unknown };

/** An error body of Graph; its ids are filled in when the answer is sent. */
export function graphError(status: number, code: string, message: string, headers?: Record<string, string>): Answer {
  const body = { error: { code, message, innerError: {} } };
  return headers ? { status, headers, body } : { status, body };
}

export function isGraphError(body: unknown): body is { error: { innerError: Record<string, unknown> } } {
  return typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'object';
}

/** A delta or skip token that is too old or damaged: a 400 in place of a 410, as observed. */
export const deadToken = () =>
  graphError(400, 'Request_UnsupportedQuery', 'DeltaLink older than 30 days is not supported.');

/** A request that Graph does not understand. */
export const badRequest = (message: string) => graphError(400, 'Request_BadRequest', message);

/** A query that Graph understands but does not support. */
export const unsupportedQuery = (message: string) => graphError(400, 'Request_UnsupportedQuery', message);

export const methodNotAllowed = () =>
  graphError(405, 'Request_BadRequest', 'Specified HTTP method is not allowed for the request target.');

/** The token lacks the role for this request. */
export const denied = () =>
  graphError(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.');

/** There is no live object with this id or name. */
export const notFound = (id: string) =>
  graphError(
    404,
    'Request_ResourceNotFound',
    `Resource '${id}' does not exist or one of its queried reference-property objects are not present.`,
  );

/** The bearer token is missing, expired or unknown. */
export const unauthenticated = (message: string) =>
  graphError(401, 'InvalidAuthenticationToken', message, { 'WWW-Authenticate': 'Bearer realm=""' });

/** An error of the token endpoint or of discovery, in Entra's words. */
export function signInError(status: number, error: string, code: number, message: string): Answer {
  const [trace, correlation] = [randomUUID(), randomUUID()];
  const timestamp = new Date()
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
  return {
    status,
    body: {
      error,
      error_description: `AADSTS${code}: ${message} Trace ID: ${trace} Correlation ID: ${correlation} Timestamp: ${timestamp}`,
      error_codes: [code],
      timestamp,
      trace_id: trace,
      correlation_id: correlation,
      error_uri: `https://login.microsoftonline.com/error?code=${code}`,
    },
  };
}

/** The answer of discovery and of the token endpoint to an unknown tenant. */
export function unknownTenant(tenant: string, error: 'invalid_tenant' | 'invalid_request'): Answer {
  return signInError(
    400,
    error,
    90002,
    `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.`,
  );
}
