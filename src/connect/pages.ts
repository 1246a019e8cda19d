// The pages of the consent, step by step. Plain HTML without scripts or external resources.
import type { Settings } from '../settings/settings.ts';
import { type Html, html, nothing, page } from './html.ts';
import { type Refusal, refusals } from './refusals.ts';

export type Site = {
  /** The product's name as customers know it: it asks for consent. */
  readonly product: string;
  /** The public address, without a trailing slash. */
  readonly url: string;
};

export type Reading = {
  readonly properties: readonly string[];
  readonly retentionDays: number;
  readonly interval: string;
};

/** Returns the properties and times that the settings imply, in the words of the page. */
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
of your tenant: it asks for <em>application permissions</em> of Microsoft Graph, which no other built-in administrator role can grant.</p>`;

const revoking = (product: string) => html`<p>At any time, in the
<strong>Microsoft Entra admin center</strong>: <em>Enterprise applications</em>, choose the application of ${product},
<em>Properties</em>, <em>Delete</em> (or <em>Permissions</em>, to see what is granted). From then on nothing more is read.
The accounts in ${product} stay as they are and can be edited; none is removed.</p>`;

/** Returns the first page, which explains the steps before the sign-in. */
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
<dd>Your groups, with name, description and address, and their members.</dd>
</dl>
<p>No mailbox, no file, no calendar, no password, no sign-in log.</p>
<h2>What is kept</h2>
<p>A copy of just that, refreshed about every ${reading.interval}. A user who is removed from your directory is hidden at the
next refresh, can be restored for ${reading.retentionDays} days, and is erased after that.</p>
<h2>What is written</h2>
<p><strong>Nothing.</strong> ${product} only reads. If it is granted a permission to write, it refuses to work.</p>
<h2>How to revoke it</h2>
${revoking(product)}
<div class="actions">${button(`${url}/sign-in`, 'Sign in with Microsoft', { invitation: asked.invitation })}</div>
<p class="lead">The link is valid until ${until(asked.expiresAt)}.</p>`,
  );
}

/** Returns the page after the sign-in, which leads to consent. */
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
<p>Microsoft shows you next the permissions that it asks for: <code>User.Read.All</code> and <code>GroupMember.Read.All</code>, to
read and not to write. Accept, and you come back here.</p>
${offer.confirmed ? nothing : confirms}
<div class="actions">${button(`${url}/consent`, 'Continue to consent', { step: offer.step })}</div>`,
  );
}

type Consented = { tenantId: string; customer: string; domain: string | null; missing: readonly string[] };

function lacking(product: string, missing: readonly string[]): Html {
  if (missing.length === 0) return nothing;
  return html`<div class="note"><strong>Groups are not read.</strong> ${missing.join(', ')} was not granted.
Users are still read. ${product} has to ask for the permission before you can consent to it.</div>`;
}

/** Returns the last page, for a valid token. */
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

/** Returns the last page for a tenant that the vendor still has to confirm. */
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

/** Returns the page for a consent without a valid token yet. Offers a check; without `next` a new sign-in. */
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
  const ended = html`<p>This sign-in has used up its checks. Start again to sign in once more; the consent that you gave
stays.</p>`;
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

/** Returns the page of a refusal with its cure. */
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
