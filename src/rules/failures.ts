// Decides how to handle a failed request to Graph: one table, each row with its sources (docs/graph.md).

/** A failed request as the HTTP edge saw it. */
export type Failure =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** `error.code` and the nested inner codes, in lower case: Graph's spelling varies (SyncStateNotFound). */
      readonly codes: readonly string[];
      /** Whether the request used a next or delta link, not a first URL. */
      readonly carriedToken: boolean;
    }
  /** No answer, or a part of one; `code` is Node's, TIMEOUT, PROXY_502 or BROKEN_CONNECTION. */
  | { readonly kind: 'network'; readonly code: string }
  /** The sign-in failed for a cause that may pass; `code` as above, HTTP_503 or AADSTS90033. */
  | { readonly kind: 'sign_in'; readonly code: string }
  /** A body of another shape than expected, or with bytes that are not text. */
  | { readonly kind: 'malformed' }
  /** A body larger than any that Graph is known to send. */
  | { readonly kind: 'too_large' };

export type Verdict =
  /** Retry later. `throttled` only for the wording. */
  | { readonly act: 'retry'; readonly throttled: boolean }
  /** Get a new access token and retry once. */
  | { readonly act: 'new_access_token' }
  /**
   * The link is dead: restart the round, or start a full one (rule 15). With `afterOneRetry`, only if a retry fails
   * too.
   */
  | { readonly act: 'dead_token'; readonly afterOneRetry: boolean }
  /** A retry cannot help. */
  | {
      readonly act: 'stop';
      readonly why:
        | 'permission'
        | 'delta_unsupported'
        | 'query_refused'
        | 'unexpected'
        | 'certificate'
        | 'proxy'
        | 'too_large';
    };

/** Codes, documented and observed, of a dead delta or skip token with status 400. */
const deadTokenCodes = [
  'syncstatenotfound',
  'syncstateinvalid',
  'resyncrequired',
  'request_unsupportedquery',
  'directory_expiredpagetoken',
];

/** Codes of an untrusted certificate (nodejs.org/api/tls.html, X509 codes). */
const certificateCodes = [
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];

/** Codes of a proxy that refuses to connect (graph/network-code.ts) for a cause that asking again does not mend. */
const proxyRefusals = [400, 401, 402, 403, 404, 405, 407, 410, 421, 426, 451].map((status) => `PROXY_${status}`);

export type FailureRow = {
  /** A description, which is also the title of its test. */
  readonly what: string;
  readonly kinds: readonly Failure['kind'][];
  /** Statuses of an answer; undefined: any. */
  readonly statuses?: readonly number[];
  /** Codes, one of which must match; undefined: any. */
  readonly codes?: readonly string[];
  /** `link`: the request carried a token. `first_url`: it did not. */
  readonly at?: 'link' | 'first_url';
  readonly verdict: Verdict;
  /** Keys of the list of sources in docs/graph.md; `inferred` for our own conclusion (I there). */
  readonly sources: readonly string[];
};

/** The table. The first row that fits decides; the last row fits any answer. */
export const failureTable: readonly FailureRow[] = [
  {
    what: 'a certificate that is not trusted',
    kinds: ['network', 'sign_in'],
    codes: certificateCodes,
    verdict: { act: 'stop', why: 'certificate' },
    sources: ['inferred'],
  },
  {
    what: 'a proxy that refuses its user, its password or the host',
    kinds: ['network', 'sign_in'],
    codes: proxyRefusals,
    verdict: { act: 'stop', why: 'proxy' },
    sources: ['inferred'],
  },
  {
    what: 'no connection, a broken one, no answer in time, no name server; or no sign-in for such a cause',
    kinds: ['network', 'sign_in'],
    verdict: { act: 'retry', throttled: false },
    sources: ['best-practices', 'aadsts', 'inferred'],
  },
  {
    what: 'HTML, broken JSON, an error object or half a page with 200',
    kinds: ['malformed'],
    verdict: { act: 'retry', throttled: false },
    sources: ['docs#5532', 'inferred'],
  },
  {
    what: 'throttled',
    kinds: ['answer'],
    statuses: [429],
    verdict: { act: 'retry', throttled: true },
    sources: ['throttling'],
  },
  {
    what: 'a fault or an overload of the service',
    kinds: ['answer'],
    statuses: [408, 423, 500, 502, 503, 504, 509],
    verdict: { act: 'retry', throttled: false },
    sources: ['errors', 'best-practices', 'training#3'],
  },
  {
    what: 'an access token that is too old, revoked or unknown',
    kinds: ['answer'],
    statuses: [401],
    verdict: { act: 'new_access_token' },
    sources: ['errors', 'public code'],
  },
  {
    what: 'a missing permission or consent',
    kinds: ['answer'],
    statuses: [403],
    verdict: { act: 'stop', why: 'permission' },
    sources: ['batching', 'errors'],
  },
  {
    what: 'a reset of the sync state, with Location or without',
    kinds: ['answer'],
    statuses: [410],
    verdict: { act: 'dead_token', afterOneRetry: false },
    sources: ['overview'],
  },
  {
    what: 'a link that is not there (once a fault of the service)',
    kinds: ['answer'],
    statuses: [404],
    at: 'link',
    verdict: { act: 'dead_token', afterOneRetry: true },
    sources: ['docs#1000', 'inferred'],
  },
  {
    what: 'a dead delta or skip token that is answered with 400',
    kinds: ['answer'],
    statuses: [400],
    codes: deadTokenCodes,
    at: 'link',
    verdict: { act: 'dead_token', afterOneRetry: false },
    sources: ['overview', 'errors', 'docs#2350', 'sdk-dotnet#2254', 'public code'],
  },
  {
    // The code of a dead token, but no token was sent.
    what: 'a tenant without delta',
    kinds: ['answer'],
    statuses: [400],
    codes: ['request_unsupportedquery'],
    at: 'first_url',
    verdict: { act: 'stop', why: 'delta_unsupported' },
    sources: ['overview', 'docs#4018'],
  },
  {
    what: 'a dead token where none was sent',
    kinds: ['answer'],
    statuses: [400],
    codes: deadTokenCodes,
    at: 'first_url',
    verdict: { act: 'stop', why: 'unexpected' },
    sources: ['inferred'],
  },
  {
    what: 'a property that delta refuses, and with it the whole query',
    kinds: ['answer'],
    statuses: [400],
    at: 'first_url',
    verdict: { act: 'stop', why: 'query_refused' },
    sources: ['explorer#3189', 'docs#14141', 'docs#4746'],
  },
  {
    what: 'a property outside Entra ID, in a listing',
    kinds: ['answer'],
    statuses: [501],
    at: 'first_url',
    verdict: { act: 'stop', why: 'query_refused' },
    sources: ['overview-2021'],
  },
  {
    what: 'an answer beyond the limit: the next try would only fill the memory again',
    kinds: ['too_large'],
    verdict: { act: 'stop', why: 'too_large' },
    sources: ['inferred'],
  },
  {
    what: 'anything else: redirects, empty successes, other refusals',
    kinds: ['answer'],
    verdict: { act: 'stop', why: 'unexpected' },
    sources: ['inferred'],
  },
];

/** Returns how to handle a failed request. */
export function judgeFailure(failure: Failure): Verdict {
  const row = failureTable.find((one) => fits(one, failure));
  if (!row) throw new Error(`no row of the failure table fits a failure of kind ${failure.kind}`);
  return row.verdict;
}

function fits({ kinds, statuses, codes, at }: FailureRow, failure: Failure): boolean {
  if (!kinds.includes(failure.kind)) return false;
  switch (failure.kind) {
    case 'answer':
      return (
        (statuses?.includes(failure.status) ?? true) &&
        (codes === undefined || failure.codes.some((code) => codes.includes(code))) &&
        (at === undefined || (at === 'link') === failure.carriedToken)
      );
    case 'network':
    case 'sign_in':
      return codes?.includes(failure.code) ?? true;
    case 'malformed':
    case 'too_large':
      return true;
  }
}

/**
 * Returns the wait in milliseconds that Retry-After asks for: seconds, fractions (in Graph's older examples) or an HTTP
 * date. A date is compared with the Date of the same answer, which the same clock set, else with `nowMs`. Returns
 * undefined if it is missing or unreadable.
 */
export function retryAfterMs(header: string | null, answered: string | null, nowMs: number): number | undefined {
  const text = header?.trim() ?? '';
  // A capped wait still exceeds every budget, as it should.
  if (/^\d+(\.\d+)?$/.test(text)) return Math.min(Math.ceil(Number(text) * 1000), Number.MAX_SAFE_INTEGER);
  const date = httpDateMs(text);
  return date === undefined ? undefined : Math.max(0, date - (httpDateMs(answered?.trim() ?? '') ?? nowMs));
}

// Date.parse finds a year in almost any text, so check for the form of an HTTP date first.
function httpDateMs(text: string): number | undefined {
  const date = /^[a-z]{3,9}, .* \d\d:\d\d:\d\d GMT$/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : date;
}

/** Returns `error.code` and the inner codes of an error body, in lower case, the most specific last. */
export function errorCodes(body: unknown): string[] {
  const codes: string[] = [];
  let level: unknown = record(body)?.error;
  // Graph uses both spellings. The depth is limited.
  for (let depth = 0; depth < 5; depth += 1) {
    const error = record(level);
    if (!error) break;
    // Codes go into messages and tables, so they must look like one.
    if (typeof error.code === 'string' && /^[\w.-]{1,80}$/.test(error.code)) codes.push(error.code.toLowerCase());
    level = error.innerError ?? error.innererror;
  }
  return codes;
}

/**
 * Returns which of `asked` an error body names. Graph's message itself is never used: it has held names and addresses
 * of people (rule 18).
 */
export function namedProperties(body: unknown, asked: readonly string[]): string[] {
  const message = record(record(body)?.error)?.message;
  const words = new Set(typeof message === 'string' ? message.slice(0, 2_000).match(/\w+/g) : []);
  // `id` is in many messages and is never refused.
  return asked.filter((name) => name !== 'id' && words.has(name));
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}
