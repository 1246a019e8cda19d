// The v2 admin consent endpoint: a consent page for administrators, a refusal for other users, and a redirect back.
import type { Answer } from '../answers.ts';
import type { Authority } from './authority-state.ts';
import { consentPage, errorPage, needAdminPage, pickPage, principalIn, redirect } from './entra-pages.ts';
import { accounts, refuseApplication } from './sign-in.ts';

/**
 * Answers `GET /{tenant}/v2.0/adminconsent`. Like Entra, it sends `admin_consent=True` with errors too
 * (entra-docs, v2-admin-consent).
 */
export function answerAdminConsent(
  authority: Authority,
  tenant: string,
  url: string,
  cookies: string | undefined,
): Answer {
  const query = new URL(url, authority.origin).searchParams;
  const refused = refuseApplication(authority, query);
  if (refused) return refused;
  if (tenant === 'common')
    return errorPage('AADSTS90130', "'common' is not supported here: use a tenant id or 'organizations'.");
  if (tenant !== 'organizations' && !authority.tenants.has(tenant)) {
    return errorPage('AADSTS90002', `Tenant '${tenant}' not found.`);
  }
  const uri = query.get('redirect_uri') ?? '';
  const scope = query.get('scope') ?? '';
  const state = query.get('state');
  const principal = query.get('account') ?? principalIn(cookies);
  const account = accounts(authority).find((one) => one.principal === principal);
  const back = (values: Record<string, string>) =>
    redirect(uri, {
      admin_consent: 'True',
      tenant: account?.tenantId ?? tenant,
      ...values,
      ...(state !== null && { state }),
    });
  if (!/^https:\/\/[^/]+\/\.default$/.test(scope)) {
    const says = `AADSTS70011: The provided value for the input parameter 'scope' is not valid. The scope ${scope} is not valid.`;
    return back({ error: 'invalid_scope', error_description: says });
  }
  if (!account || (tenant !== 'organizations' && account.tenantId !== tenant)) {
    return pickPage('Sign in as an administrator of this tenant', url, accounts(authority));
  }
  const decision = query.get('decision');
  if (!account.mayConsent) {
    const says = 'AADSTS90094: The grant requires admin permission.';
    return decision === 'cancel'
      ? back({ error: 'access_denied', error_description: says })
      : needAdminPage(url, account);
  }
  if (decision === 'cancel') {
    const says = 'AADSTS65004: User declined to consent to access the app.';
    return back({ error: 'access_denied', error_description: says, error_subcode: 'cancel' });
  }
  const clientId = query.get('client_id') ?? '';
  const isSignIn = clientId === authority.options.signInApplication?.clientId;
  if (decision !== 'accept')
    return consentPage(url, account, isSignIn ? ['openid', 'profile'] : authority.options.roles);
  if (isSignIn) authority.allowed.add(`${account.tenantId} ${clientId}`);
  else authority.consents.grant(account.tenantId);
  return back({ scope });
}
