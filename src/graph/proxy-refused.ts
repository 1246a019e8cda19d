// Tells of a proxy that refuses to connect, at sign-in and at Graph.
import { ExpectedError } from '../errors.ts';
import { judgeFailure } from '../rules/failures.ts';
import { proxyForm } from '../rules/proxies.ts';

/** Whether a code of network-code.ts is the refusal of a proxy that asking again does not mend. */
export function isProxyRefusal(code: string): boolean {
  const verdict = judgeFailure({ kind: 'network', code });
  return verdict.act === 'stop' && verdict.why === 'proxy';
}

/** Returns the error for such a code. */
export function proxyRefused(code: string, more: { detail?: string; cause?: unknown } = {}): ExpectedError {
  const status = code.replace('PROXY_', '');
  // 401 is what tinyproxy answers to a wrong password.
  if (status === '407' || status === '401') {
    const message = `the proxy asks for a user and a password, or refuses those it got (${status})`;
    const cure = `set the user and the password of the proxy in HTTPS_PROXY, percent-encoded: ${proxyForm}`;
    return new ExpectedError('proxy_refused', message, { cure, ...more });
  }
  return new ExpectedError('proxy_refused', `the proxy refuses to connect (${status})`, {
    cure: 'have it allow CONNECT to the hosts of sign-in and Graph (entra-sync doctor names them), or check HTTPS_PROXY',
    ...more,
  });
}
