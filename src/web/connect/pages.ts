// The pages of the consent, step by step. Plain HTML that needs no script and loads nothing from elsewhere.
import { type Html, html, moment, nothing, say } from '../html.ts';
import { page, type Site } from './frame.ts';
import type { Language } from './language.ts';
import { intervalOf, inWords, type Reading, unitsOf } from './reading.ts';
import type { Refusal } from './refusals.ts';

function stepsOf({ language }: Site, current: number, isWaiting = false): Html {
  const { steps } = language.texts;
  const items = [steps.signIn, steps.consent, isWaiting ? steps.confirmation : steps.connected].map((name, index) =>
    index < current
      ? html`<li class="done">${name}</li>`
      : index === current
        ? html`<li aria-current="step">${name}</li>`
        : html`<li>${name}</li>`,
  );
  return html`<ol class="steps" aria-label="${steps.label}">${items}</ol>`;
}

function button(action: string, label: string, hidden: Readonly<Record<string, string>>, second = false): Html {
  const fields = Object.entries(hidden).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  );
  return html`<form method="post" action="${action}">${fields}<button${second ? html` class="second"` : nothing}>${label}</button></form>`;
}

function revoking({ brand: { product }, language }: Site): Html {
  const { revoke } = language.texts;
  return html`<h2>${revoke.title}</h2>
<p>${say(revoke.how, { product })}</p>
<p>${say(revoke.after, { product })}</p>`;
}

/** Returns the first page, which explains the steps before the sign-in. */
export function welcomePage(
  site: Site,
  asked: { customer: string; expiresAt: Date; invitation: string; reading: Reading },
): string {
  const { url, brand, language } = site;
  const { product } = brand;
  const { reading } = asked;
  const { buttons, welcome } = language.texts;
  const properties = reading.properties.map((name) => inWords(name, language)).join(', ');
  const retention = unitsOf(Math.round(reading.retentionMs / 86_400_000), 'day', language);
  return page(
    site,
    welcome.title,
    html`${stepsOf(site, 0)}
<h1>${say(welcome.heading, { product })}</h1>
<p class="lead">${say(welcome.lead, { product, customer: asked.customer })}</p>
<p>${say(welcome.roles)}</p>
<div class="actions">${button(`${url}/sign-in`, buttons.signIn, { invitation: asked.invitation })}</div>
<p class="lead">${say(welcome.validUntil, { time: moment(asked.expiresAt, language) })}</p>
<h2>${welcome.askingTitle}</h2>
<p>${say(welcome.asking, { product, host: new URL(url).host })}${contactOf(site)}</p>
<h2>${welcome.readTitle}</h2>
<dl>
<dt><code>User.Read.All</code></dt>
<dd>${say(welcome.users, { properties })}</dd>
<dt><code>GroupMember.Read.All</code></dt>
<dd>${say(welcome.groups)}</dd>
</dl>
<p>${say(welcome.notRead)}</p>
<h2>${welcome.keptTitle}</h2>
<p>${say(welcome.kept, { interval: intervalOf(reading.intervalMs, language) })}</p>
<p>${say(welcome.removed, { retention })}</p>
<h2>${welcome.writtenTitle}</h2>
<p>${say(welcome.written, { product })}</p>
${revoking(site)}`,
  );
}

function contactOf({ brand: { contact }, language }: Site): Html {
  if (contact === undefined) return nothing;
  const shown = contact.replace(/^mailto:/, '');
  return html` ${language.texts.footer.contact}: <a href="${contact}" rel="noreferrer">${shown}</a>`;
}

// The id tells a person nothing, so it stands only where there is no name.
function tenantOf(tenantId: string, domain: string | null, { texts }: Language): Html {
  return domain === null ? say(texts.offer.tenantId, { id: tenantId }) : html`${domain}`;
}

/** Returns the page after the sign-in, which leads to consent. */
export function offerPage(
  site: Site,
  asked: { step: string; tenantId: string; domain: string | null; customer: string; confirmed: boolean },
): string {
  const { url, brand, language } = site;
  const { product } = brand;
  const { buttons, offer } = language.texts;
  const { customer, domain } = asked;
  return page(
    site,
    offer.title,
    html`${stepsOf(site, 1)}
<h1>${say(offer.heading, { tenant: domain ?? offer.yourTenant })}</h1>
<dl>
<dt>${offer.signedIn}</dt>
<dd>${tenantOf(asked.tenantId, domain, language)}</dd>
<dt>${offer.connectTo}</dt>
<dd>${say(offer.customer, { customer, product })}</dd>
</dl>
<p>${say(offer.next)}</p>
${asked.confirmed ? nothing : html`<p>${say(offer.confirms, { product, customer })}</p>`}
<div class="actions">${button(`${url}/consent`, buttons.consent, { step: asked.step })}</div>`,
  );
}

type Consented = { tenantId: string; customer: string; domain: string | null; missing: readonly string[] };

function lackingNote({ brand: { product }, language }: Site, missing: readonly string[]): Html {
  if (missing.length === 0) return nothing;
  const { lacking } = language.texts;
  return html`<div class="note"><strong>${lacking.title}</strong> ${say(lacking.what, { roles: missing.join(', '), product })}</div>`;
}

function wayBack({ brand: { product, returnUrl }, language }: Site): Html {
  if (returnUrl === undefined) return nothing;
  return html`<a class="button" href="${returnUrl}" rel="noreferrer">${say(language.texts.buttons.back, { product })}</a>`;
}

/** The addresses of what comes after a consent; undefined where it is not served. */
export type NextWays = {
  readonly console: string | undefined;
  readonly people: string | undefined;
  /** Where the administrator allows the sign-in of all people, if the consent does not cover it. */
  readonly allow: string | undefined;
};

function whatIsNext({ language, brand: { product } }: Site, { console, people, allow }: NextWays): Html {
  if (console === undefined && people === undefined) return nothing;
  const { next } = language.texts;
  const link = (to: string) => html`<a href="${to}">${to}</a>`;
  const toConsole = console === undefined ? nothing : html`<p>${say(next.console, { address: link(console) })}</p>`;
  const toPeople =
    people === undefined
      ? nothing
      : html`<p>${say(next.people, { address: link(people) })}</p><blockquote><p>${say(next.letter, { product, address: people })}</p></blockquote>`;
  const toAllow =
    allow === undefined
      ? nothing
      : html`<p>${say(next.allow, { product })}</p><p><a class="button second" href="${allow}">${language.texts.buttons.allow}</a></p>`;
  return html`<h2>${next.title}</h2>${toAllow}${toConsole}${toPeople}`;
}

/** Returns the last page, for a valid token. `reload`: its own address. */
export function connectedPage(
  site: Site,
  tenant: Consented & { people: number; reload: string; ways: NextWays },
): string {
  const { connected, buttons } = site.language.texts;
  const count = new Intl.NumberFormat(site.language.tag).format(tenant.people);
  return page(
    site,
    connected.title,
    html`${stepsOf(site, 2)}
<p class="mark good">${connected.mark}</p>
<h1>${say(connected.heading, { tenant: tenant.domain ?? connected.yourTenant })}</h1>
<p>${say(connected.customer, { customer: tenant.customer })}</p>
<p>${say(connected.due)}</p>
<p>${say(connected.people, { count })}</p>
${lackingNote(site, tenant.missing)}
${whatIsNext(site, tenant.ways)}
<div class="actions">${wayBack(site)}<a class="button second" href="${tenant.reload}">${buttons.reload}</a></div>
${revoking(site)}`,
  );
}

/** Returns the last page for a tenant that the vendor still has to confirm. */
export function waitingPage(site: Site, tenant: Consented & { until: Date }): string {
  const { brand, language } = site;
  const { product } = brand;
  const { waiting, offer } = language.texts;
  const { customer, domain } = tenant;
  return page(
    site,
    waiting.title,
    html`${stepsOf(site, 2, true)}
<p class="mark good">${waiting.mark}</p>
<h1>${say(waiting.heading, { product, tenant: domain ?? waiting.yourTenant })}</h1>
<p>${say(waiting.what, { product, customer })}</p>
<dl>
<dt>${waiting.tenant}</dt>
<dd>${tenantOf(tenant.tenantId, domain, language)}</dd>
<dt>${offer.connectTo}</dt>
<dd>${say(offer.customer, { customer, product })}</dd>
<dt>${waiting.until}</dt>
<dd>${moment(tenant.until, language)}</dd>
</dl>
<p>${say(waiting.longer)}</p>
${forSupport(site, tenant.tenantId)}
${lackingNote(site, tenant.missing)}
<div class="actions">${wayBack(site)}</div>
${revoking(site)}`,
  );
}

// The vendor decides by the id: a name can move to another tenant.
function forSupport({ language: { texts } }: Site, tenantId: string): Html {
  return html`<details><summary>${texts.waiting.support}</summary><p>${say(texts.offer.tenantId, { id: tenantId })}</p></details>`;
}

/** The reasons for which a consent gives no good token yet. */
export type NotYet = 'not_known' | 'permission_missing' | 'too_much' | 'unavailable' | 'other';

/** Returns the page for a consent without a valid token yet. Offers a check; without `next` a new sign-in. */
export function notYetPage(
  site: Site,
  wait: {
    next: { check: string; consent: string } | undefined;
    restart: string;
    tenantId: string;
    domain: string | null;
    why: NotYet;
    /** The error in English, for support. */
    message: string;
    again: boolean;
  },
): string {
  const { url, brand, language } = site;
  const { buttons, notYet, waiting } = language.texts;
  const { next } = wait;
  const [what, ...cures] = {
    not_known: [notYet.notKnown, notYet.wait],
    permission_missing: [notYet.permissionMissing, notYet.wait, notYet.notAsked],
    too_much: [notYet.tooMuch, notYet.tooMuchCure],
    unavailable: [notYet.unavailable, notYet.unavailableCure],
    other: [notYet.other, notYet.otherCure],
  }[wait.why] as [string, ...string[]];
  const ways = next
    ? html`${button(`${url}/check`, buttons.check, { step: next.check })}${
        wait.again ? button(`${url}/consent`, buttons.consentAgain, { step: next.consent }, true) : nothing
      }`
    : html`<a class="button" href="${wait.restart}">${buttons.startAgain}</a>`;
  return page(
    site,
    notYet.title,
    html`${stepsOf(site, 1)}
<p class="mark bad">${notYet.title}</p>
<h1>${notYet.heading}</h1>
<p>${say(what, { product: brand.product })} ${notYet.nothing}</p>
${cures.map((one) => html`<p>${say(one)}</p>`)}
${next ? nothing : html`<p>${say(notYet.ended)}</p>`}
<div class="actions">${ways}</div>
<dl><dt>${waiting.tenant}</dt><dd>${tenantOf(wait.tenantId, wait.domain, language)}</dd>
<dt>${notYet.message}</dt><dd lang="en" dir="ltr">${wait.message}</dd></dl>`,
  );
}

// With these refusals another person has to open the invitation.
const forAdministrator: ReadonlySet<Refusal> = new Set(['not_allowed', 'not_administrator']);

/** Returns the page of a refusal with its cure. */
export function refusalPage(site: Site, refusal: Refusal, detail: { again?: string; code?: string } = {}): string {
  const { refused, refusals, buttons } = site.language.texts;
  const { title, what, cure } = refusals[refusal];
  const { again, code } = detail;
  const link =
    again !== undefined && forAdministrator.has(refusal)
      ? html`<p>${refused.link}</p><p><code>${again}</code></p>`
      : nothing;
  return page(
    site,
    title,
    html`<p class="mark bad">${refused.mark}</p>
<h1>${title}</h1>
<p>${say(what)}</p>
<p>${say(cure)}</p>
${link}
${code ? html`<p class="lead">${refused.code} <code>${code}</code></p>` : nothing}
${again ? html`<div class="actions"><a class="button" href="${again}">${buttons.startAgain}</a></div>` : nothing}`,
  );
}
