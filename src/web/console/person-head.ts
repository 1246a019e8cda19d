// The head of every page of one person: name, state, and the way between the pages.
import { asGuid } from '../../rules/decode.ts';
import { type FoundAccount, findAccounts } from '../../store/accounts/explain.ts';
import type { Transaction } from '../../store/database/pool.ts';
import type { TenantState } from '../../store/tenants/status.ts';
import { removalText } from '../../words/removals.ts';
import { ago, type Html, html, nothing } from '../html.ts';
import type { View } from '../page.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';

export type PersonOfTenant = { readonly tenant: TenantState; readonly account: FoundAccount };

/** Returns the account of the route, if it is of the tenant of the route; undefined is a 404. */
export async function personOf(
  read: Transaction,
  view: { readonly params: Readonly<Record<string, string>> },
): Promise<PersonOfTenant | undefined> {
  const id = asGuid(view.params.account ?? '');
  const tenant = id === undefined ? undefined : await tenantOf(read, view);
  if (!tenant || id === undefined) return undefined;
  const account = (await findAccounts(read, tenant.tenant_id, id)).find((one) => one.account_id === id);
  return account && { tenant, account };
}

/** Returns the name by which a page calls an account. */
export const nameOf = (account: FoundAccount) =>
  account.display_name ?? account.user_principal_name ?? 'an account without a name';

/** Returns heading, state and the links between the pages of the person. `at`: the page's own part of the path. */
export function personHead(view: View<unknown>, { tenant, account }: PersonOfTenant, at: '' | '/history'): Html {
  const own = `/console/t/${tenant.tenant_id}/people/${account.account_id}`;
  const link = (path: string, label: string) =>
    html`<a href="${view.href(`${own}${path}`)}"${path === at ? html` aria-current="true"` : nothing}>${label}</a>`;
  return html`${tenantHead(view, tenant, '/people', { title: nameOf(account), crumbs: [{ path: '/people', label: 'People' }] })}
<p class="lead">${stateOf(account, view.now)}</p>
${account.held_list === null ? nothing : html`<div class="panel need"><p>${account.held_reason === 'suspended' ? 'Its suspension' : 'Its removal'} waits for a person since ${account.held_since ? ago(account.held_since, view.now) : 'a while'}: ${removalText(account.held_reason ?? '')}. <a href="${view.href(`/console/t/${tenant.tenant_id}/removals`)}">Look at list ${account.held_list}</a></p></div>`}
<div class="filters" role="group" aria-label="${nameOf(account)}">${link('', 'Now')}${
    view.may('GET /console/t/:tenant/people/:account/history') ? link('/history', 'What happened') : nothing
  }</div>`;
}

function stateOf(account: FoundAccount, now: Date): Html {
  const { removed_at: at, removed_by: by, purge_at: purge } = account;
  if (at !== null)
    return html`<span class="state off">Removed ${ago(at, now)}${by === null ? '' : ` by ${by}`}</span>: ${removalText(account.removed_reason ?? '')}. ${purge ? html`Its values are purged ${ago(purge, now)}.` : nothing}`;
  if (account.state === 'manual') return html`<span class="state off">Manual</span>: kept by people.`;
  return account.enabled
    ? html`<span class="state">Managed</span>: kept by the directory.`
    : html`<span class="state held">Suspended</span>: disabled in Entra ID, and kept by the directory.`;
}
