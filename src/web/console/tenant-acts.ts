// The acts on a tenant as a whole, for its page and for its row in the list: the same buttons where the same is so.
import { type Html, html, nothing, postForm } from '../html.ts';
import type { View } from '../page.ts';

/** The facts of a tenant that decide about its acts. */
export type Actable = {
  readonly tenant_id: string;
  readonly name: string;
  readonly external_ref: string | null;
  readonly status: string;
  readonly paused: boolean;
  readonly failing: boolean;
  readonly failures: number;
  readonly notice: string | null;
};

type Act = { readonly act: string; readonly label: string; readonly main: boolean };

/** Returns the acts that the viewer may do with the tenant as it is, each once. */
function actsOn(tenant: Actable, view: View<unknown>): readonly Act[] {
  const { failing, failures, notice, paused, status } = tenant;
  const runs = status !== 'disconnected' && !paused;
  const acts = [
    { act: 'sync', label: 'Sync now', shown: runs, main: true },
    { act: 'retry', label: 'Try again now', shown: runs && (failing || failures > 0), main: false },
    { act: 'pause', label: 'Pause', shown: runs, main: false },
    { act: 'resume', label: 'Resume', shown: paused, main: true },
    { act: 'acknowledge', label: 'The mass change is right', shown: notice !== null, main: false },
  ] as const;
  return acts.filter(({ act, shown }) => shown && view.may(`POST /console/t/:tenant/${act}`, tenant.tenant_id));
}

/**
 * Returns the address of the form that invites this tenant's customer for this tenant; undefined where no link can be made.
 * A consent by the link renews a lost one, and connects a disconnected tenant again.
 */
function inviteHref({ tenant_id, external_ref, name }: Actable, view: View<unknown>): string | undefined {
  if (external_ref === null || view.consentUrl === undefined || !view.may('POST /console/invitations'))
    return undefined;
  return view.href('/console/invitations', { ref: external_ref, name, tenant: tenant_id });
}

/** Returns the buttons of the tenant's page. */
export function actsOfPage(tenant: Actable, view: View<unknown>): Html {
  const acts = actsOn(tenant, view);
  const invite = inviteHref(tenant, view);
  if (acts.length === 0 && invite === undefined) return nothing;
  const buttons = acts.map(({ act, label, main }) =>
    postForm(
      view,
      `/console/t/${tenant.tenant_id}/${act}`,
      html`<button${main ? html` class="main"` : nothing}>${label}</button>`,
    ),
  );
  return html`<div class="acts">${buttons}${invite === undefined ? nothing : html`<a class="button" href="${invite}">Invite</a>`}</div>`;
}

/**
 * Returns the buttons of the tenant's row, each of which names the tenant. The mass change is looked at before it is said to
 * be right, so its act is on the tenant's page alone.
 */
export function actsOfRow(tenant: Actable, view: View<unknown>): Html {
  const acts = actsOn(tenant, view).filter(({ act }) => act !== 'acknowledge');
  const [first] = acts;
  const named = html`<span class="hidden"> ${tenant.name}</span>`;
  const invite = inviteHref(tenant, view);
  const base = `/console/t/${tenant.tenant_id}`;
  // One form a row: fifty tenants would repeat its hidden fields two hundred times.
  const buttons = acts.map(
    ({ act, label }) =>
      html`<button class="quiet" formaction="${view.href(`${base}/${act}`)}">${label}${named}</button>`,
  );
  const form = first === undefined ? nothing : postForm(view, `${base}/${first.act}`, html`${buttons}`);
  if (first === undefined && invite === undefined) return nothing;
  return html`<div class="row-acts">${form}${invite === undefined ? nothing : html`<a href="${invite}">Invite${named}</a>`}</div>`;
}
