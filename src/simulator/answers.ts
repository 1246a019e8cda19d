// Answers as Graph and Entra word them: the bodies of errors, one function per error.
import { randomUUID } from 'node:crypto';

export type Answer = { status: number; headers?: Readonly<Record<string, string>>; body?: unknown };

/** An error body of Graph; the ids in it are filled in when the answer is sent. */
export function graphError(status: number, code: string, message: string, headers?: Record<string, string>): Answer {
  const body = { error: { code, message, innerError: {} } };
  return headers ? { status, headers, body } : { status, body };
}

/** True for a body made by `graphError`. */
export function isGraphError(body: unknown): body is { error: { innerError: Record<string, unknown> } } {
  return typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'object';
}

/** A delta or skip token that is too old or damaged: the 400 that people have seen in place of a 410. */
export const deadToken = () =>
  graphError(400, 'Request_UnsupportedQuery', 'DeltaLink older than 30 days is not supported.');

/** A request that Graph cannot make sense of. */
export const badRequest = (message: string) => graphError(400, 'Request_BadRequest', message);

/** A query that Graph understands and does not serve. */
export const unsupportedQuery = (message: string) => graphError(400, 'Request_UnsupportedQuery', message);

/** Any method but those that only read. */
export const methodNotAllowed = () =>
  graphError(405, 'Request_BadRequest', 'Specified HTTP method is not allowed for the request target.');

/** The token lacks a role for this. */
export const denied = () =>
  graphError(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.');

/** No live object of this id or name. */
export const notFound = (id: string) =>
  graphError(
    404,
    'Request_ResourceNotFound',
    `Resource '${id}' does not exist or one of its queried reference-property objects are not present.`,
  );

/** No bearer token, or not one that is good now. */
export const unauthenticated = (message: string) =>
  graphError(401, 'InvalidAuthenticationToken', message, { 'WWW-Authenticate': 'Bearer realm=""' });

/** An error of the token endpoint or of discovery, worded as Entra words it. */
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

/** The answer to a tenant that is not there: worded alike by discovery and by the token endpoint. */
export function unknownTenant(tenant: string, error: 'invalid_tenant' | 'invalid_request'): Answer {
  return signInError(
    400,
    error,
    90002,
    `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.`,
  );
}
