// An empty console: the way to the first customer, with what is done. The steps are those of
// docs/first-customer.md, which a test walks.
import { plural } from '../../rules/numbers.ts';
import type { FirstSteps } from '../../store/console/first-steps.ts';
import { type Html, html } from '../html.ts';

type Step = { readonly done: boolean; readonly title: string; readonly how: Html };

/** Returns the list. */
export function firstSteps(facts: FirstSteps): Html {
  const { registered, signedIn, worker, invitations, waiting } = facts;
  const steps: readonly Step[] = [
    { done: true, title: 'The database', how: html`It is there, and its schema is up to date.` },
    {
      done: registered,
      title: 'The application in Entra ID',
      how: registered
        ? html`A sign-in has come back to it.`
        : html`<code>entra-sync register --print</code> prints the commands that register it.`,
    },
    {
      done: worker,
      title: 'A worker',
      how: worker
        ? html`One runs, and reads each tenant that is connected.`
        : html`<code>entra-sync worker</code> reads the tenants.`,
    },
    {
      done: signedIn,
      title: 'Your own sign-in',
      how: signedIn
        ? html`People sign in with Microsoft.`
        : html`<code>entra-sync web --public-url URL</code> lets your people sign in; <code>entra-sync doctor</code> says what is missing.`,
    },
    {
      done: invitations > 0,
      title: 'An invitation',
      how:
        invitations > 0
          ? html`${plural(invitations, 'invitation')} can be used.`
          : html`<code>entra-sync connect --print-url --ref CUSTOMER --name NAME</code> prints the address for your customer's administrator.`,
    },
    {
      done: false,
      title: 'The consent',
      how:
        waiting > 0
          ? html`${plural(waiting, 'tenant')} wait${waiting === 1 ? 's' : ''} for you: <code>entra-sync tenant approve --list</code>`
          : html`The administrator opens the address, signs in and consents. The tenant is here a moment later.`,
    },
  ];
  const next = steps.findIndex(({ done }) => !done);
  return html`<ol class="line" aria-label="The way to the first customer">${steps.map(
    ({ done, title, how }, index) =>
      html`<li${index === next ? html` aria-current="step"` : html``}><span class="state${done ? ' done' : index === next ? ' held' : ' off'}">${done ? 'Done' : index === next ? 'Next' : 'To do'}</span><p><b>${title}.</b> ${how}</p></li>`,
  )}</ol>`;
}
