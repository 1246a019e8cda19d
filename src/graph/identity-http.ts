// HTTP for the sign-in libraries, which report neither the fault of a connection nor the status and Retry-After of an
// answer that they cannot use: limits every answer and notes it.
import type { ClientSecretCredentialOptions } from '@azure/identity';
import type { INetworkModule } from '@azure/msal-node';
import { retryAfterMs } from '../rules/failures.ts';
import { maxIdentityBytes, readBody, withinLimit } from './body.ts';

/** The last answer of the authority, or the code of the fault that prevented it. */
export type LastAnswer = { status?: number; retryAfterMs?: number | undefined; code?: string };

/**
 * Asks the identity platform and reads the body, within {@link maxIdentityBytes}. Throws what fetch and readBody
 * throw.
 */
export async function fetchIdentity(url: string, options: RequestInit): Promise<Response> {
  return withinLimit(await fetch(url, options), maxIdentityBytes);
}

type Policy = NonNullable<ClientSecretCredentialOptions['additionalPolicies']>[number]['policy'];

/** Returns a policy for @azure/identity that limits and notes answers. */
export function limitAnswers(last: LastAnswer): Policy {
  return {
    name: 'limitAnswers',
    sendRequest: async (request, next) => {
      // Otherwise the client would collect the whole body first.
      request.streamResponseStatusCodes = new Set([Number.POSITIVE_INFINITY]);
      try {
        const { readableStreamBody, ...answer } = await next(request);
        last.status = answer.status;
        last.retryAfterMs = retryAfterMs(
          answer.headers.get('retry-after') ?? null,
          answer.headers.get('date') ?? null,
          Date.now(),
        );
        const body = (readableStreamBody ?? null) as AsyncIterable<Uint8Array> | null;
        return { ...answer, bodyAsText: await readBody(body, maxIdentityBytes) };
      } catch (error) {
        note(last, error);
        throw error;
      }
    },
  };
}

/** Returns a client for @azure/msal-node that does the same. */
export function limitedNetwork(last: LastAnswer): INetworkModule {
  const send = async <Body>(url: string, options: RequestInit) => {
    try {
      const answer = await fetchIdentity(url, { ...options, redirect: 'manual' });
      last.status = answer.status;
      return {
        status: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: (await answer.json()) as Body,
      };
    } catch (error) {
      note(last, error);
      throw error;
    }
  };
  return {
    sendGetRequestAsync: (url, options) => send(url, { headers: options?.headers ?? {} }),
    sendPostRequestAsync: (url, options) =>
      send(url, { method: 'POST', headers: options?.headers ?? {}, body: options?.body ?? '' }),
  };
}

function note(last: LastAnswer, error: unknown): void {
  const answer = (error as { response?: { status?: unknown } } | null)?.response;
  if (typeof answer?.status === 'number') last.status = answer.status;
  for (let level: unknown = error; level instanceof Error; level = level.cause) {
    const code = (level as { code?: unknown }).code;
    if (typeof code === 'string') {
      last.code = code;
      return;
    }
  }
}
