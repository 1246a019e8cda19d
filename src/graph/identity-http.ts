// HTTP for the sign-in libraries: by fetch, so that sign-in and Graph take the same way through a proxy. The libraries
// report neither the fault of a connection nor the status and Retry-After of an answer that they cannot use, so every
// answer is limited and noted here.
import type { ClientSecretCredentialOptions } from '@azure/identity';
import type { INetworkModule } from '@azure/msal-node';
import { retryAfterMs } from '../rules/failures.ts';
import { maxIdentityBytes, withinLimit } from './body.ts';
import { networkCode } from './network-code.ts';

/** The last answer of the authority, or the code of the fault that prevented it. */
export type LastAnswer = { status?: number; retryAfterMs?: number | undefined; code?: string };

/**
 * Asks the identity platform and reads the body, within {@link maxIdentityBytes}. Throws what fetch and readBody
 * throw.
 */
export async function fetchIdentity(url: string, options: RequestInit): Promise<Response> {
  return withinLimit(await fetch(url, options), maxIdentityBytes);
}

type AzureClient = NonNullable<ClientSecretCredentialOptions['httpClient']>;
type AzureHeaders = Awaited<ReturnType<AzureClient['sendRequest']>>['headers'];

/** Options of @azure/identity that send its requests with {@link fetchIdentity}, once each. */
export function identityOptions(last: LastAnswer) {
  return {
    httpClient: azureClient(last),
    // Otherwise the library would read the proxy variables itself. Only its own client would use this address.
    proxyOptions: { host: 'http://unused.invalid', port: 80 },
    // Only the reader's policy retries, which reports every wait.
    retryOptions: { maxRetries: 0 },
    // Following a redirect would send the secret along.
    redirectOptions: { maxRetries: 0 },
  } satisfies ClientSecretCredentialOptions;
}

function azureClient(last: LastAnswer): AzureClient {
  return {
    sendRequest: async (request) => {
      const { url, method, headers, body, abortSignal } = request;
      const answer = await asked(last, url, {
        method,
        headers: headers.toJSON(),
        ...(typeof body === 'string' && { body }),
        ...(abortSignal instanceof AbortSignal && { signal: abortSignal }),
      });
      last.retryAfterMs = retryAfterMs(answer.headers.get('retry-after'), answer.headers.get('date'), Date.now());
      return { request, status: answer.status, headers: azureHeaders(answer.headers), bodyAsText: await answer.text() };
    },
  };
}

function azureHeaders(headers: Headers): AzureHeaders {
  return {
    get: (name) => headers.get(name) ?? undefined,
    has: (name) => headers.has(name),
    set: (name, value) => headers.set(name, String(value)),
    delete: (name) => headers.delete(name),
    toJSON: () => Object.fromEntries(headers),
    [Symbol.iterator]: () => headers.entries(),
  };
}

/** Returns a client for @azure/msal-node that does the same. */
export function limitedNetwork(last: LastAnswer): INetworkModule {
  const send = async <Body>(url: string, options: RequestInit) => {
    const answer = await asked(last, url, options);
    return {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: (await answer.json()) as Body,
    };
  };
  return {
    sendGetRequestAsync: (url, options) => send(url, { headers: options?.headers ?? {} }),
    sendPostRequestAsync: (url, options) =>
      send(url, { method: 'POST', headers: options?.headers ?? {}, body: options?.body ?? '' }),
  };
}

async function asked(last: LastAnswer, url: string, options: RequestInit): Promise<Response> {
  try {
    const answer = await fetchIdentity(url, { ...options, redirect: 'manual' });
    last.status = answer.status;
    return answer;
  } catch (error) {
    const code = networkCode(error);
    if (code !== undefined) last.code = code;
    throw error;
  }
}
