// `/team/ID`: one of the people that the viewer manages. It shows present values, who changed them last by role, and what the
// person gets; never what was, nor groups (rule 49).
import { z } from 'zod';
import { type Html, html, nothing, postForm, say } from '../html.ts';
import type { View } from '../page.ts';
import { besidePreview, type PreviewPanel } from '../preview.ts';
import { isEditable, labelOf, type PersonField, readPerson, shownText } from './fields.ts';
import type { Head } from './frame.ts';
import { fieldInput, stateAt, stateInput } from './inputs.ts';
import { fill, textsOf } from './language.ts';
import { outcomes } from './me.ts';
import { wishesOf } from './me-act.ts';
import { findPhoto, photoAbove } from './photo.ts';
import { portalAction, portalPage } from './portal-page.ts';
import { hasPreview, portalPreview, previewPanel } from './preview.ts';
import { save } from './save.ts';
import { managedId } from './team-access.ts';
import { timeOf } from './times.ts';

export const teamPersonPage = portalPage({
  route: 'GET /team/:account',
  section: 'team',
  needs: 'managers',
  query: { done: z.enum(outcomes) },
  load: async (contract, view) => {
    const account = await managedId(contract, view);
    const person = account && (await readPerson(contract, account, 'manager'));
    if (!account || !person) return undefined;
    const [named] = await contract.rows<{ name: string | null }>(
      `select coalesce(a.display_name, a.user_principal_name, a.mail) as name
         from directory.accounts a where a.account_id = :account`,
      { account },
    );
    const photo = await findPhoto(contract, account);
    return { account, person, name: named?.name ?? null, photo, previewed: await hasPreview(contract, account) };
  },
  audit: ({ account }) => [{ act: 'person.viewed', accountId: account }],
  render: ({ account, person, name, photo, previewed }, view, head) => {
    const { team, me } = textsOf(view);
    const theirs = person.fields.filter((one) => isEditable(one, 'manager'));
    const path = `/team/${account}`;
    const called = name ?? team.nameless;
    const { done } = view.query;
    const panel = previewed
      ? previewPanel(view, `${path}/preview`, theirs.length > 0 && view.may('POST /team/:account'))
      : undefined;
    return {
      title: `${called} · ${team.title}`,
      content: html`${done === undefined || view.form ? nothing : html`<p class="done" role="status">${me.done[done]}</p>`}
<p class="crumb"><a href="${view.href('/team')}">${team.title}</a></p>
${photoAbove(photo, view, called, fill(team.photo, { name: called }))}<h1>${called}</h1>
<p class="lead">${theirs.length > 0 ? team.personLead : team.personLeadNothing}</p>
${theirs.length > 0 ? editForm(path, { person, theirs, account, panel }, view, head) : panel === undefined ? nothing : html`<section class="panel">${panel.details}</section>`}
${restPanel(
  person.fields.filter((one) => !theirs.includes(one)),
  account,
  view,
  head,
)}`,
    };
  },
});

type Data = {
  readonly person: NonNullable<Awaited<ReturnType<typeof readPerson>>>;
  readonly theirs: readonly PersonField[];
  readonly account: string;
  readonly panel: PreviewPanel | undefined;
};

function editForm(path: string, { person, theirs, account, panel }: Data, view: View<unknown>, head: Head): Html {
  const { me, team } = textsOf(view);
  const mayAct = view.may('POST /team/:account');
  // Enter presses the first button of a form, which must not be that of one field.
  const first = html`<button class="hidden" name="act" value="save" tabindex="-1" aria-hidden="true">${me.save}</button>`;
  const inputs = theirs.map((one) => fieldInput(one, view, beneath(one, account, view, head), false));
  const save = html`<div class="acts"><button class="main" name="act" value="save">${me.save}</button></div>`;
  const fields = html`<fieldset class="plain" role="none"${mayAct ? nothing : html` disabled`}>${inputs}</fieldset>${mayAct ? save : nothing}`;
  const own = theirs.some((one) => one.origin === 'user' && one.mappedFrom !== null);
  const reset = html`<div class="acts more">${postForm(view, path, html`<input type="hidden" name="at" value="${person.at}"><button name="act" value="reset_all">${me.resetAll}</button>`)}</div>`;
  return html`<section class="panel" aria-labelledby="editable"><h2 id="editable">${team.editable}</h2>
${postForm(view, path, html`${first}${stateInput(view, person)}${besidePreview(fields, panel)}`)}
${mayAct && own ? reset : nothing}</section>`;
}

function beneath(field: PersonField, account: string, view: View<unknown>, head: Head): Html {
  const { fields: texts } = textsOf(view);
  const last = lastChange(field, account, view, head);
  if (field.mappedFrom === null) return html`${texts.notInDirectory} ${last}`;
  if (field.origin !== 'user') return html`${texts.fromDirectory}`;
  const below = shownText(field.directoryValue, view);
  const says =
    below === ''
      ? html`${texts.directoryHasNone}`
      : say(texts.directorySays, { value: html`<strong>${below}</strong>` });
  return html`${says} <button class="quiet" name="act" value="reset:${field.field}" formnovalidate>${texts.useThat}<span class="hidden">: ${labelOf(field, view)}</span></button> ${last}`;
}

// Which person it was is not told, only in which role.
function lastChange({ origin, changedBy, since }: PersonField, account: string, view: View<unknown>, head: Head): Html {
  if (origin !== 'user') return nothing;
  const { by } = textsOf(view).team;
  const role =
    changedBy === `account:${view.viewer.accountId}`
      ? by.you
      : changedBy === `account:${account}`
        ? by.person
        : changedBy?.startsWith('account:')
          ? by.manager
          : by.administrator;
  return say(role, { at: timeOf(since, view, head) });
}

function restPanel(fields: readonly PersonField[], account: string, view: View<unknown>, head: Head): Html {
  const { team } = textsOf(view);
  const full = fields.filter((one) => one.value !== null);
  if (full.length === 0) return nothing;
  const lines = full.map((one) => {
    const last = lastChange(one, account, view, head);
    return html`<div class="field"><dt>${labelOf(one, view)}</dt><dd>${shownText(one.value, view)}</dd>${last === nothing ? nothing : html`<dd class="under">${last}</dd>`}</div>`;
  });
  return html`<section class="panel" aria-labelledby="rest"><h2 id="rest">${team.rest}</h2><dl class="fields">${lines}</dl></section>`;
}

export const editTeamPerson = portalAction({
  route: 'POST /team/:account',
  needs: 'managers',
  form: {
    act: z.string().regex(/^(save|reset_all|(reset|leave):\w{1,63})$/),
    at: stateAt,
  },
  // Each field has a name of its own.
  others: true,
  audit: 'person.edited',
  act: async (within, view) => {
    const { act, at } = view.query;
    const account = await within((contract) => managedId(contract, view));
    const person = account && (await within((contract) => readPerson(contract, account, 'manager')));
    if (!account || !person) return undefined;
    const theirs = person.fields.filter((one) => isEditable(one, 'manager'));
    const saving = { actor: view.viewer.accountId ?? '', account, at, ...wishesOf(view, theirs) };
    const outcome = await save(within, saving, person.fields, view);
    if ('problems' in outcome) return outcome;
    const [kind = act] = act.split(':');
    const fields = outcome.saved;
    const done = fields.length === 0 ? 'unchanged' : kind.startsWith('reset') ? 'reset' : 'saved';
    return { to: `/team/${account}?done=${done}`, audited: { accountId: account, detail: { act: kind, fields } } };
  },
  again: teamPersonPage,
});

export const previewsOfTeam = (['GET /team/:account/preview', 'POST /team/:account/preview'] as const).map((route) =>
  portalPreview({
    ...{ route, needs: 'managers', role: 'manager', audit: 'person.previewed' },
    accountOf: (within, view) => within((contract) => managedId(contract, view)),
  }),
);
