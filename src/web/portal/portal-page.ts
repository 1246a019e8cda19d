// The parts of every page of the portal: the tenant with its settings of these pages, and the person who looks.
//
//   export const mePage = portalPage({
//     route: 'GET /me',
//     section: 'me',                              the entry of the navigation
//     needs: 'people',                            the setting of the tenant that gives this page; off is a page that says so
//     query: {},
//     load: (contract, view, head) => …,          undefined: 404
//     render: (data, view, head) => ({ title: …, content: html`…` }),
//   });
//   export const save = portalAction({ …, needs: 'people', act: (within, view) => …, again: mePage });

import type { Route } from '../access.ts';
import { type Contract, contractAction, contractPage, type Within } from '../contract-page.ts';
import { html, say } from '../html.ts';
import type { Action, Audited, Content, Done, Page, Parsed, Shape, View, Whole } from '../page.ts';
import { type Head, headerOf, type Section } from './frame.ts';
import { textsOf } from './language.ts';

type Needs = 'people' | 'managers';

/** Returns the tenant and its settings; undefined without a live account of the viewer. */
export async function readHead(contract: Contract, { viewer }: View<unknown>): Promise<Head | undefined> {
  const [head] = await contract.rows<Head>(
    `select t.name as tenant, t.time_zone as "timeZone", t.help, t.portal,
            coalesce(a.display_name, a.user_principal_name, a.mail, '') as person
       from directory.accounts a join directory.tenants t using (tenant_id)
      where a.account_id = :accountId limit 1`,
    { accountId: viewer.accountId },
  );
  return head;
}

/** Describes a page of the portal: see the head of this file. */
export function portalPage<Fields extends Shape, Data>(description: {
  readonly route: Route;
  readonly section: Section;
  readonly needs: Needs;
  readonly query: Fields;
  readonly load: (contract: Contract, view: View<Parsed<Fields>>, head: Head) => Promise<Data | undefined>;
  readonly render: (data: Data, view: View<Parsed<Fields>>, head: Head) => Content;
  readonly audit?: (data: Data, view: View<Parsed<Fields>>) => readonly Audited[];
}): Page {
  const { route, section, needs, query, load, render, audit } = description;
  return contractPage({
    ...{ route, query },
    load: async (contract, view) => {
      const head = await readHead(contract, view);
      if (!head) return undefined;
      if (!head.portal[needs]) return { head, data: 'off' as const };
      const data = await load(contract, view, head);
      return data === undefined ? undefined : { head, data: { of: data } };
    },
    render: ({ head, data }, view) => {
      const content = data === 'off' ? offPage(view, head) : render(data.of, view, head);
      return { ...content, header: headerOf(view, head, section) };
    },
    audit: ({ data }, view) => (data === 'off' ? [] : (audit?.(data.of, view) ?? [])),
  });
}

function offPage(view: View<unknown>, { tenant }: Head): Content {
  const { title, what, ask } = textsOf(view).off;
  return { title, content: html`<h1>${title}</h1><p class="lead">${say(what, { tenant })} ${ask}</p>` };
}

/** Describes an act of the portal. Where the tenant's settings do not give it, the page says so and nothing is done. */
export function portalAction<Fields extends Shape>(description: {
  readonly route: Route;
  readonly needs: Needs;
  readonly form: Fields;
  readonly others?: true;
  readonly audit: string;
  readonly act: (within: Within, view: View<Whole<Fields>>, head: Head) => Promise<Done | undefined>;
  readonly again: Page;
}): Action {
  const { needs, act, ...rest } = description;
  return contractAction({
    ...rest,
    act: async (within, view) => {
      const head = await within((contract) => readHead(contract, view));
      if (!head) return undefined;
      return head.portal[needs] ? act(within, view, head) : { problems: [] };
    },
  });
}
