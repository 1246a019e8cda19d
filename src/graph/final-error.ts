// The message for a request that finally failed.
import { ExpectedError } from '../errors.ts';
import { judgeFailure } from '../rules/failures.ts';
import { explainCertificate } from './certificate.ts';
import { isProxyRefusal, proxyRefused } from './proxy-refused.ts';
import type { RequestFailed } from './request-failed.ts';

/** Returns the expected error for a failed request, with statuses, codes and ids, and no text of Graph's (rule 18). */
export function finalError(error: RequestFailed, origin: string): ExpectedError {
  const detail = [error.message, error.requestId && `request-id ${error.requestId}`].filter(Boolean).join('; ');
  const more = { detail, cause: error };
  const { failure } = error;
  const verdict = judgeFailure(failure);
  // The error of the sign-in is the most precise.
  if (failure.kind === 'sign_in' && error.cause instanceof ExpectedError) return error.cause;
  if ('code' in failure) {
    if (isProxyRefusal(failure.code)) return proxyRefused(failure.code, more);
    if (verdict.act === 'stop') {
      const { message, cure } = explainCertificate(origin, failure.code);
      return new ExpectedError('graph_unavailable', message, { cure, ...more });
    }
    return new ExpectedError('graph_unavailable', `${origin} cannot be reached (${error.message})`, {
      cure: 'check the network, HTTPS_PROXY and GRAPH_BASE_URL, then run the command again: it resumes where it stopped',
      ...more,
    });
  }
  if (failure.kind === 'malformed') {
    return new ExpectedError('graph_answer_invalid', `${error.message}, repeatedly`, {
      cure: 'check for a proxy or portal between here and Graph, then run the command again',
      ...more,
    });
  }
  if (failure.kind === 'too_large') {
    return new ExpectedError('graph_answer_invalid', `${error.message}, which is too large for a page of a directory`, {
      cure: 'check GRAPH_BASE_URL and any proxy between here and Graph, then run the command again',
      ...more,
    });
  }
  if (verdict.act === 'new_access_token') {
    return new ExpectedError('sign_in_failed', 'Graph refused the access token (401), and a new one too', {
      cure: 'check that ENTRA_SYNC_CLOUD fits the tenant and that this machine has the right time',
      ...more,
    });
  }
  if (verdict.act === 'retry') {
    return verdict.throttled
      ? new ExpectedError(
          'graph_throttled',
          'Graph throttles this application (429) for longer than one cycle may wait',
          {
            cure: 'run the command again later: it resumes where it stopped',
            ...more,
          },
        )
      : new ExpectedError('graph_unavailable', `${error.message}, repeatedly`, {
          cure: 'run the command again later: it resumes where it stopped',
          ...more,
        });
  }
  const why = verdict.act === 'stop' ? verdict.why : 'unexpected';
  switch (why) {
    case 'permission':
      return new ExpectedError('permission_missing', 'Graph refused to show this (403)', {
        cure: 'grant the application permissions User.Read.All and GroupMember.Read.All, and admin consent',
        ...more,
      });
    case 'delta_unsupported':
      return new ExpectedError('delta_unsupported', 'this tenant does not support delta queries', {
        cure: 'Azure AD B2C and External ID tenants cannot be synced (docs/graph.md)',
        ...more,
      });
    case 'query_refused': {
      const [first, ...others] = error.refused;
      // An answer that names many properties does not show the refused one.
      const which = first !== undefined && others.length < 5 ? `: ${error.refused.join(', ')}` : '';
      // If no property is named, the mapping is the cause only if it is new.
      const cure =
        which === ''
          ? 'if the field mapping was changed before this, undo the additions (entra-sync settings show); else run the command again later'
          : 'take the property out of the field mapping (entra-sync settings show)';
      return new ExpectedError('property_refused', `Graph refused the query (${error.message})${which}`, {
        cure,
        ...more,
      });
    }
    default:
      return new ExpectedError('graph_answer_invalid', error.message, {
        cure: carriedToken(failure)
          ? 'run the command again: if the link is refused in two cycles in a row, a new round starts by itself; entra-sync resync starts one now'
          : 'run again with --verbose and look at the detail; nothing was changed',
        ...more,
      });
  }
}

function carriedToken(failure: RequestFailed['failure']): boolean {
  return failure.kind === 'answer' && failure.carriedToken;
}
