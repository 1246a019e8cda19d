// How the libraries that sign in reach the identity platform: every answer up to a limit, and noted, for they tell neither
// what broke a connection nor the status and Retry-After of an answer that they could not use.
import type { ClientSecretCredentialOptions } from '@azure/identity';
import type { INetworkModule } from '@azure/msal-node';
import { retryAfterMs } from '../rules/failures.ts';
import { mostIdentityBytes, readBody, withinLimit } from './body.ts';

/** The last answer of the authority, or what kept it away. */
export type LastAnswer = { status?: number; retryAfterMs?: number | undefined; code?: string };

/** Asks the identity platform; the body is at hand, and within {@link mostIdentityBytes}. Throws what fetch and readBody throw. */
export async function fetchIdentity(url: string, options: RequestInit): Promise<Response> {
  return withinLimit(await fetch(url, options), mostIdentityBytes);
}

type Policy = NonNullable<ClientSecretCredentialOptions['additionalPolicies']>[number]['policy'];

/** For @azure/identity: limits and notes what comes. */
export function limitAnswers(last: LastAnswer): Policy {
  return {
    name: 'limitAnswers',
    sendRequest: async (request, next) => {
      // As a stream, whatever the status: the client would otherwise collect the whole body before anybody can look.
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
        return { ...answer, bodyAsText: await readBody(body, mostIdentityBytes) };
      } catch (error) {
        note(last, error);
        throw error;
      }
    },
  };
}

/** For @azure/msal-node, in place of its own client: the same. */
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
