// What to do about a request to Graph that did not bring a page: one table, each row with its source (docs/graph.md).

/** A failed request as the HTTP edge saw it. */
export type Failure =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** `error.code` and the nested inner codes, in lower case: Graph's spelling varies (SyncStateNotFound). */
      readonly codes: readonly string[];
      /** Whether the request went to a next or delta link, which carries a token, and not to a first URL. */
      readonly carriedToken: boolean;
    }
  | { readonly kind: 'network'; readonly code: string }
  | { readonly kind: 'malformed' };

export type Verdict =
  /** Ask again, later. `throttled` only for the wording. */
  | { readonly act: 'retry'; readonly throttled: boolean }
  /** Take a new access token and ask again, once. */
  | { readonly act: 'new_access_token' }
  /** The link is dead: begin the round anew, or a full one (rule 15). `after` a second try when Graph may only be late. */
  | { readonly act: 'dead_token'; readonly afterOneRetry: boolean }
  /** Nothing that asking again could change. */
  | {
      readonly act: 'stop';
      readonly why: 'permission' | 'delta_unsupported' | 'query_refused' | 'unexpected' | 'certificate';
    };

// Documented (concepts/errors, delta-query-overview) and observed ends of a delta or skip token. The code
// request_unsupportedquery is also the answer of tenants without delta, but only this one when no token was sent.
const deadTokenCodes = new Set([
  'syncstatenotfound',
  'syncstateinvalid',
  'resyncrequired',
  'request_unsupportedquery',
  'directory_expiredpagetoken',
]);

// A certificate that is not trusted today is not trusted in a second either.
const certificateCodes = new Set([
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'CERT_NOT_YET_VALID',
]);

const retryStatuses = new Set([408, 423, 429, 500, 502, 503, 504, 509]);

/** The one place that decides what a failed request means. */
export function judgeFailure(failure: Failure): Verdict {
  if (failure.kind === 'malformed') return { act: 'retry', throttled: false };
  if (failure.kind === 'network') {
    return certificateCodes.has(failure.code)
      ? { act: 'stop', why: 'certificate' }
      : { act: 'retry', throttled: false };
  }
  const { status, codes, carriedToken } = failure;
  if (retryStatuses.has(status)) return { act: 'retry', throttled: status === 429 };
  if (status === 401) return { act: 'new_access_token' };
  if (status === 403) return { act: 'stop', why: 'permission' };
  if (status === 410) return { act: 'dead_token', afterOneRetry: false };
  if (status === 404 && carriedToken) return { act: 'dead_token', afterOneRetry: true };
  if (status === 400 && codes.some((code) => deadTokenCodes.has(code))) {
    if (carriedToken) return { act: 'dead_token', afterOneRetry: false };
    return codes.includes('request_unsupportedquery')
      ? { act: 'stop', why: 'delta_unsupported' }
      : { act: 'stop', why: 'unexpected' };
  }
  if ((status === 400 && !carriedToken) || status === 501) return { act: 'stop', why: 'query_refused' };
  return { act: 'stop', why: 'unexpected' };
}

/**
 * How long Retry-After asks to wait, in milliseconds: seconds, fractions ("2.128" in Graph's older examples) or an HTTP
 * date, which is compared with `nowMs`. Undefined when there is none or it cannot be read.
 */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  const text = header?.trim() ?? '';
  // As much as a number holds is more than any budget allows, which is what so long a wait has to come to.
  if (/^\d+(\.\d+)?$/.test(text)) return Math.min(Math.ceil(Number(text) * 1000), Number.MAX_SAFE_INTEGER);
  // Date.parse finds a year in almost anything, so the form of an HTTP date is asked for first.
  const date = /^[a-z]{3,9}, .* \d\d:\d\d:\d\d GMT$/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

/** `error.code` and every inner code of an error body, lower case, the most specific last; odd bodies give none. */
export function errorCodes(body: unknown): string[] {
  const codes: string[] = [];
  let level: unknown = record(body)?.error;
  // Graph spells it innerError in examples and innererror in tables; nesting is bounded by common sense.
  for (let depth = 0; depth < 5; depth += 1) {
    const error = record(level);
    if (!error) break;
    // Codes go into messages and tables, so only what looks like one is taken.
    if (typeof error.code === 'string' && /^[\w.-]{1,80}$/.test(error.code)) codes.push(error.code.toLowerCase());
    level = error.innerError ?? error.innererror;
  }
  return codes;
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}
