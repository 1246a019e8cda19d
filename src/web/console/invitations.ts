// `/console/invitations`: the links by which customers connect: made, copied once, withdrawn.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { ExpectedError } from '../../errors.ts';
import { distinctAddresses, problemOfContacts } from '../../rules/contacts.ts';
import { asGuid } from '../../rules/decode.ts';
import { plural } from '../../rules/numbers.ts';
import { durationMs } from '../../settings/durations.ts';
import { loadDefaults } from '../../settings/settings.ts';
import { type ListedInvitation, listInvitations } from '../../store/console/invitations.ts';
import { InvitationExists, signingKey, withdrawInvitations } from '../../store/tenants/invitations.ts';
import { invite } from '../../store/tenants/invite.ts';
import { ago, type Html, html, nothing, postForm } from '../html.ts';
import { invitationUrl } from '../links.ts';
import { action, page, type View } from '../page.ts';
import { position, positionOf } from '../query.ts';
import { type Column, csvLink, listTable, pager } from '../table.ts';
import { typedText } from '../typed.ts';
import { byWhom } from './change-words.ts';
import { fieldLine } from './form-parts.ts';

const shownInvitations = 50;

/** A link of a tenant fills the form. */
const given = z.string().max(200);

export const invitationsPage = page({
  route: 'GET /console/invitations',
  query: { after: position('number', 'id'), ref: given, name: given, tenant: given },
  load: (read, { query }) => listInvitations(read, { after: query.after?.keys ?? null, limit: shownInvitations + 1 }),
  render: (found, view) => {
    const shown = found.slice(0, shownInvitations);
    const last = found.length > shownInvitations ? shown.at(-1) : undefined;
    return {
      title: 'Invitations',
      section: 'invitations',
      content: html`<h1>Invitations</h1>
<p class="lead">A link for one customer. An administrator who has it can connect a tenant for this customer.</p>
${view.form?.shown ?? nothing}
${newForm(view)}
<h2>Made</h2>
${shown.length === 0 ? html`<p class="empty">None is made, or all have expired more than 30 days ago.</p>` : html`${listTable('Invitations', columns(view), shown)}${csvLink(view, '/console/invitations.csv')}`}
${pager(view, view.query.after, last && positionOf([last.sort_key, last.invitation_id]))}`,
    };
  },
});

const lengths = { '1d': '1 day', '7d': '7 days', '30d': '30 days', '90d': '90 days' } as const;

type Filled = { readonly [Name in 'ref' | 'name' | 'tenant']: string | undefined };

function newForm(view: View<Filled>): Html {
  if (!view.may('POST /console/invitations')) return nothing;
  if (view.consentUrl === undefined)
    return html`<p class="empty">This process does not know where the consent page is served: start it with <code>ENTRA_SYNC_PUBLIC_URL</code>, then invitations can be made here.</p>`;
  const { form, query } = view;
  const line = (id: 'ref' | 'name' | 'tenant' | 'contacts', label: string, under: string, length = 200) =>
    fieldLine(
      form,
      { id, label, under: html`${under}` },
      (more) =>
        html`<input type="text" inputmode="${id === 'contacts' ? 'email' : 'text'}" id="${id}" name="${id}" maxlength="${length}" autocomplete="off" value="${typedText(form, id) ?? (id === 'contacts' ? '' : (query[id] ?? ''))}"${more}>`,
    );
  const chosen = typedText(form, 'expires') ?? '7d';
  // A form that was refused keeps its id, and one whose invitation was made gets another.
  const id = typedText(form, 'id') ?? randomUUID();
  return html`<h2>New</h2>${postForm(
    view,
    '/console/invitations',
    html`<input type="hidden" name="id" value="${id}"><div class="panel">
${line('ref', 'Customer', "The customer's id in your own system.")}
${line('name', 'Name', 'The tenant gets it; empty: the id.')}
${line('tenant', 'Tenant', 'Its id, if no other may be connected; it is registered at once, as pending. Empty: the one whose administrator opens the link.')}
${line('contacts', 'Contacts', 'Mail addresses of the customer, separated by commas: told of lost consent and of removals that wait.', 2600)}
${fieldLine(
  form,
  { id: 'expires', label: 'Valid for' },
  (more) =>
    html`<select id="expires" name="expires" autocomplete="off"${more}>${Object.entries(lengths).map(([value, words]) => html`<option value="${value}"${value === chosen ? html` selected` : nothing}>${words}</option>`)}</select>`,
)}</div>
<div class="acts"><button class="main">Make the link</button></div>`,
  )}`;
}

const columns = (view: View<unknown>): readonly Column<ListedInvitation>[] => [
  {
    title: 'Customer',
    head: true,
    cell: (one) => html`${one.external_ref}${one.name === null ? nothing : html`<small>${one.name}</small>`}`,
  },
  {
    title: 'State',
    cell: (one) =>
      one.waits
        ? html`<span class="state held">A consent waits for <code>entra-sync tenant approve</code></span>`
        : one.expired
          ? html`<span class="state off">Expired</span>`
          : one.tenant_status !== null && one.tenant_status !== 'pending'
            ? html`<span class="state">Used</span>`
            : html`<span class="state">Open</span>`,
  },
  { title: 'Ends', cell: (one) => ago(one.expires_at, view.now) },
  {
    title: 'Tenant',
    cell: (one) =>
      one.tenant_id === null
        ? 'any'
        : html`<a href="${view.href(`/console/t/${one.tenant_id}`)}">${one.tenant_name ?? one.tenant_id}</a>`,
  },
  { title: 'Made', cell: (one) => html`${ago(one.created_at, view.now)}<small>by ${byWhom(view, one.actor)}</small>` },
  {
    title: 'Act',
    cell: (one) =>
      view.may('POST /console/invitations/withdraw')
        ? postForm(
            view,
            '/console/invitations/withdraw',
            html`<input type="hidden" name="ref" value="${one.external_ref}"><button class="quiet">Withdraw all of ${one.external_ref}</button>`,
          )
        : nothing,
  },
];

const printable = (text: string) => text.isWellFormed() && !/\p{Cc}/u.test(text);
const reference = z
  .string()
  .max(200, 'At most 200 characters.')
  .refine((text) => text.trim() !== '' && printable(text), "Write the customer's id in your own system.")
  .transform((text) => text.trim());

const makeInvitation = action({
  route: 'POST /console/invitations',
  form: {
    id: z.guid(),
    ref: reference,
    name: z
      .string()
      .max(200, 'At most 200 characters.')
      .refine(printable, 'Write characters that can be printed.')
      .transform((text) => text.trim() || null),
    tenant: z
      .string()
      .trim()
      .refine((text) => text === '' || asGuid(text) !== undefined, 'Write the id of a tenant, a GUID, or nothing.')
      .transform((text) => asGuid(text) ?? null),
    contacts: z
      .string()
      .max(2_600, 'At most 10 addresses.')
      .default('')
      .transform((text) => distinctAddresses(text.split(','))),
    expires: z.enum(Object.keys(lengths) as [keyof typeof lengths]),
  },
  audit: 'invitation.created',
  act: async (database, view) => {
    const { id, ref, name, tenant: tenantId, contacts, expires } = view.query;
    const { consentUrl } = view;
    if (consentUrl === undefined) return { problems: [{ message: 'The address of the consent page is not known.' }] };
    const problem = problemOfContacts(contacts);
    if (problem !== undefined) return { problems: [{ field: 'contacts', message: `${problem}.` }] };
    try {
      const expiresInMs = durationMs(expires) ?? 0;
      const wanted = { invitationId: id, ref, name, tenantId, expiresInMs, contacts, actor: view.viewer.actor };
      const made = await invite(database, loadDefaults(), wanted);
      const link = invitationUrl(await signingKey(database), consentUrl, made.invitation_id, made.expires_at);
      return { told: linkPanel(link, ref, made.expires_at, view.now), audited: { tenantId, detail: { ref } } };
    } catch (error) {
      if (error instanceof InvitationExists) {
        const message = 'This invitation is made already, and its link was shown then. A lost link is withdrawn below.';
        return { problems: [{ message }], conflict: true };
      }
      if (!(error instanceof ExpectedError) || !['tenant_exists', 'usage'].includes(error.code)) throw error;
      return { problems: [{ field: 'tenant', message: `${error.message}.` }] };
    }
  },
  again: invitationsPage,
});

function linkPanel(link: string, ref: string, expiresAt: Date, now: Date): Html {
  return html`<div class="panel need" role="status" tabindex="-1"><p>The link for ${ref} ends ${ago(expiresAt, now)}. It is shown this once: send it to the administrator alone.</p>
<p><label for="link">Link</label> <input type="text" inputmode="text" id="link" class="wide" autocomplete="off" readonly value="${link}"></p></div>`;
}

const withdraw = action({
  route: 'POST /console/invitations/withdraw',
  form: { ref: reference },
  audit: 'invitation.withdrawn',
  act: async (database, view) => {
    const { ref } = view.query;
    const withdrawn = await withdrawInvitations(database, ref);
    const says = html`<div class="panel need" role="status"><p>${plural(withdrawn, 'invitation')} of ${ref} withdrawn.</p></div>`;
    return { told: says, audited: { detail: { ref, withdrawn } } };
  },
  again: invitationsPage,
});

export const invitationPages = [invitationsPage, makeInvitation, withdraw];
