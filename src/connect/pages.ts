// What the consent page says, step by step. Plain HTML: no script, nothing loaded from elsewhere.
import type { Settings } from '../settings/settings.ts';
import { type Html, html, nothing, page } from './html.ts';
import { type Refusal, refusals } from './refusals.ts';

export type Site = {
  /** The product that the customer knows: who asks for consent. */
  readonly product: string;
  /** The public address, without a slash at its end. */
  readonly url: string;
};

export type Reading = {
  readonly properties: readonly string[];
  readonly retentionDays: number;
  readonly interval: string;
};

/** What the settings of this installation read and keep, as the page says it. */
export function readingOf(settings: Settings, properties: readonly string[]): Reading {
  return {
    properties: properties.filter((name) => name !== 'id').map(inWords),
    retentionDays: Math.round(settings.retentionMs / 86_400_000),
    interval: inMinutes(settings.intervalMs),
  };
}

// `businessPhones` -> business phones
function inWords(property: string): string {
  return property.startsWith('extension_') ? property : property.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
}

function inMinutes(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  return minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
}

function steps(current: number, last = 'Connected'): Html {
  const items = ['Sign in', 'Consent', last].map((name, index) =>
    index < current
      ? html`<li class="done">${name}</li>`
      : index === current
        ? html`<li aria-current="step">${name}</li>`
        : html`<li>${name}</li>`,
  );
  return html`<ol class="steps" aria-label="Steps">${items}</ol>`;
}

function button(action: string, label: string, hidden: Readonly<Record<string, string>>, second = false): Html {
  const fields = Object.entries(hidden).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  );
  return html`<form method="post" action="${action}">${fields}<button${second ? html` class="second"` : nothing}>${label}</button></form>`;
}

const roles = html`<p>You need the role <strong>Privileged Role Administrator</strong> or <strong>Global Administrator</strong>
of your tenant: what is asked for are <em>application permissions</em> of Microsoft Graph, which the other administrator roles that come with Entra ID cannot grant.</p>`;

const revoking = (product: string) => html`<p>At any time, in the
<strong>Microsoft Entra admin center</strong>: <em>Enterprise applications</em>, choose the application of ${product},
<em>Properties</em>, <em>Delete</em> (or <em>Permissions</em>, to look at what is granted). From then on nothing more is read.
The accounts that ${product} has stay there as they are and can be edited; nobody is removed by it.</p>`;

/** The first page: what is going to happen, before anybody signs in. */
export function welcomePage(
  site: Site,
  asked: { customer: string; expiresAt: Date; invitation: string; reading: Reading },
): string {
  const { product, url } = site;
  const { reading } = asked;
  return page(
    'Connect Microsoft Entra ID',
    product,
    html`${steps(0)}
<h1>Connect your Microsoft Entra ID to ${product}</h1>
<p class="lead">This invitation is for <strong>${asked.customer}</strong>. It takes about two minutes: you sign in, and you
consent to ${product} reading your users and groups.</p>
<h2>Who can do this</h2>
${roles}
<h2>What is read</h2>
<dl>
<dt><code>User.Read.All</code></dt>
<dd>The profiles of your users: ${reading.properties.join(', ')}.</dd>
<dt><code>GroupMember.Read.All</code></dt>
<dd>Your groups, with name, description and address, and who is a member of which.</dd>
</dl>
<p>No mailbox, no file, no calendar, no password, no sign-in log.</p>
<h2>What is kept</h2>
<p>A copy of just that, refreshed about every ${reading.interval}. Somebody who is removed from your directory is hidden at
once, can be restored for ${reading.retentionDays} days, and is erased after that.</p>
<h2>What is written</h2>
<p><strong>Nothing.</strong> ${product} only ever reads. If it were granted a permission that could write, it would refuse to work with it.</p>
<h2>How to revoke it</h2>
${revoking(product)}
<div class="actions">${button(`${url}/sign-in`, 'Sign in with Microsoft', { invitation: asked.invitation })}</div>
<p class="lead">The link is good until ${until(asked.expiresAt)}.</p>`,
  );
}

/** Signed in: which tenant that is, and the way to consent. */
export function offerPage(
  site: Site,
  offer: { step: string; tenantId: string; domain: string | null; customer: string; confirmed: boolean },
): string {
  const { product, url } = site;
  const confirms = html`<p>After your consent, ${product} confirms that this tenant belongs to ${offer.customer}. Reading begins
when that is done.</p>`;
  return page(
    'Give consent',
    product,
    html`${steps(1)}
<h1>Give consent for ${offer.domain ?? 'your tenant'}</h1>
<dl>
<dt>Signed in to</dt>
<dd>${offer.domain === null ? nothing : html`${offer.domain}, `}tenant <code>${offer.tenantId}</code></dd>
<dt>To be connected to</dt>
<dd>${offer.customer} at ${product}</dd>
</dl>
${roles}
<p>Microsoft shows you next what is asked for: <code>User.Read.All</code> and <code>GroupMember.Read.All</code>, to read and
not to write. Accept, and you come back here.</p>
${offer.confirmed ? nothing : confirms}
<div class="actions">${button(`${url}/consent`, 'Continue to consent', { step: offer.step })}</div>`,
  );
}

type Consented = { tenantId: string; customer: string; domain: string | null; missing: readonly string[] };

function lacking(product: string, missing: readonly string[]): Html {
  if (missing.length === 0) return nothing;
  return html`<div class="note"><strong>Groups are not read.</strong> ${missing.join(', ')} was not granted.
Users are read all the same; ${product} has to ask for the permission before you can consent to it.</div>`;
}

/** Consented, and a token of the tenant is good. */
export function connectedPage(site: Site, tenant: Consented): string {
  const { product } = site;
  return page(
    'Connected',
    product,
    html`${steps(2)}
<p class="mark good">Done</p>
<h1>${tenant.domain ?? 'Your tenant'} is connected</h1>
<p>The users and groups of tenant <code>${tenant.tenantId}</code> are read for ${tenant.customer} from now on; the first time
takes a few minutes. You can close this page.</p>
${lacking(product, tenant.missing)}
<h2>How to revoke it</h2>
${revoking(product)}`,
  );
}

/** Consented, a token is good, and the vendor has to say that the tenant is this customer's. */
export function waitingPage(site: Site, tenant: Consented & { until: Date }): string {
  const { product } = site;
  return page(
    'Waiting for confirmation',
    product,
    html`${steps(2, 'Confirmation')}
<p class="mark good">Your part is done</p>
<h1>${product} now confirms ${tenant.domain ?? 'your tenant'}</h1>
<p>Your consent works. Before anything is read, a person at ${product} confirms that this tenant belongs to
${tenant.customer}. You need to do nothing more, and you can close this page.</p>
<dl>
<dt>Tenant</dt>
<dd><code>${tenant.tenantId}</code></dd>
<dt>To be connected to</dt>
<dd>${tenant.customer} at ${product}</dd>
<dt>Waits until</dt>
<dd>${until(tenant.until)}</dd>
</dl>
<p>If it takes longer than you expected, send the tenant id above to the person who sent you the link.</p>
${lacking(product, tenant.missing)}
<h2>How to revoke it</h2>
${revoking(product)}`,
  );
}

/** Consented, but no good token came in time: what it says, and the way to ask again; without `next` a new sign-in is needed. */
export function notYetPage(
  site: Site,
  wait: {
    next: { check: string; consent: string } | undefined;
    restart: string;
    tenantId: string;
    what: string;
    cure: string;
    again: boolean;
  },
): string {
  const { product, url } = site;
  const { next } = wait;
  const ways = next
    ? html`${button(`${url}/check`, 'Check again', { step: next.check })}${
        wait.again ? button(`${url}/consent`, 'Consent again', { step: next.consent }, true) : nothing
      }`
    : html`<a class="button" href="${wait.restart}">Start again</a>`;
  const ended = html`<p>This sign-in has been checked as often as one sign-in can be. Start again to sign in once more; a consent
that you gave stays.</p>`;
  return page(
    'Not connected yet',
    product,
    html`${steps(1)}
<p class="mark bad">Not connected yet</p>
<h1>The consent does not work yet</h1>
<p>${wait.what} Nothing was registered.</p>
<p>${wait.cure}</p>
${next ? nothing : ended}
<dl><dt>Tenant</dt><dd><code>${wait.tenantId}</code></dd></dl>
<div class="actions">${ways}</div>`,
  );
}

/** What went wrong, in one sentence, and what to do. */
export function refusalPage(site: Site, refusal: Refusal, detail: { again?: string; code?: string } = {}): string {
  const { title, what, cure } = refusals[refusal];
  const code = detail.code ? html`<p class="lead">Microsoft says: <code>${detail.code}</code></p>` : nothing;
  const again = detail.again
    ? html`<div class="actions"><a class="button" href="${detail.again}">Start again</a></div>`
    : nothing;
  return page(
    title,
    site.product,
    html`<p class="mark bad">Nothing was connected</p>
<h1>${title}</h1>
<p>${what}</p>
<p>${cure}</p>
${code}${again}`,
  );
}

function until(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
