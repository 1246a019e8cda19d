// `/console/t/ID/contacts`: the people of the customer who are told by mail of lost consent and of removals that wait.
import { z } from 'zod';
import { distinctAddresses, maxContacts, problemOfContacts } from '../../rules/contacts.ts';
import { isTenant } from '../../store/console/tenants.ts';
import { contactsAreTold, contactsOf, setContacts } from '../../store/tenants/contacts.ts';
import { html, nothing, postForm } from '../html.ts';
import { action, page } from '../page.ts';
import { typedText } from '../typed.ts';
import { fieldLine } from './form-parts.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';

const contactsPage = page({
  route: 'GET /console/t/:tenant/contacts',
  query: { done: z.literal('saved').optional() },
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    const told = await contactsAreTold(read, tenant.tenant_id);
    return { tenant, told, contacts: await contactsOf(read, tenant.tenant_id) };
  },
  render: ({ tenant, told, contacts }, view) => ({
    title: `Contacts · ${tenant.name}`,
    section: 'tenants',
    content: html`${tenantHead(view, tenant, '/settings', { title: 'Contacts', crumbs: [{ path: '/settings', label: 'Settings' }] })}
<p class="lead">The contacts are told by mail when the consent is lost and when removals wait: once, then daily while it lasts, and when it is over.</p>
${told ? nothing : html`<div class="panel need"><p>The settings say <code>notify.customer: false</code>, so no contact is told.</p></div>`}
${view.query.done === undefined || view.form ? nothing : html`<p class="done" role="status">Saved.</p>`}
${postForm(
  view,
  `/console/t/${tenant.tenant_id}/contacts`,
  html`<div class="panel">${fieldLine(
    view.form,
    {
      id: 'contacts',
      label: 'Mail addresses',
      under: html`One a line, at most ${maxContacts}. Empty: no mail is sent to anyone of ${tenant.name}.`,
    },
    (more) =>
      html`<textarea inputmode="email" id="contacts" name="contacts" rows="5" autocapitalize="none" spellcheck="false" autocomplete="off"${more}>
${typedText(view.form, 'contacts') ?? contacts.join('\n')}</textarea>`,
  )}</div>
<div class="acts"><button class="main">Save</button></div>`,
)}`,
  }),
});

const saveContacts = action({
  route: 'POST /console/t/:tenant/contacts',
  form: { contacts: z.string().max(4_000, 'At most 4,000 characters.') },
  audit: 'contacts.changed',
  act: async (database, view) => {
    const tenantId = view.params.tenant ?? '';
    if (!(await isTenant(database, tenantId))) return undefined;
    const addresses = distinctAddresses(view.query.contacts.split('\n'));
    const problem = problemOfContacts(addresses);
    if (problem !== undefined) return { problems: [{ field: 'contacts', message: `${problem}.` }] };
    await setContacts(database, { tenantId, addresses, actor: view.viewer.actor });
    // The audit outlives a contact: it tells how many there are.
    return {
      to: `/console/t/${tenantId}/contacts?done=saved`,
      audited: { tenantId, detail: { contacts: addresses.length } },
    };
  },
  again: contactsPage,
});

export const contactPages = [contactsPage, saveContacts];
