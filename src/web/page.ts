// A page or an act of the web, as one file describes it: its query or form, the statements that it calls, its HTML, in
// that order. serve-pages.ts does the rest for each of them: the session, the table of access (404 for every refusal),
// the token of forms, the audit, the time of statements, escaping, the security headers, 303 after POST.
//
//   export const tenantsPage = page({
//     route: 'GET /console',                      a line of access.ts
//     query: { state: z.enum(['held']) },         a value that does not fit is dropped, never an error
//     load: (read, view) => listTenants(read, view.query),      undefined: 404
//     render: (tenants, view) => ({ title: 'Tenants', content: html`…` }),
//   });
//   export const pause = action({
//     route: 'POST /console/t/:tenant/pause',
//     form: { reason: z.string().max(200) },      a value that does not fit shows `again` with the problem at its field
//     audit: 'tenant.pause',
//     act: async (database, view) => ({ to: `/console/t/${view.params.tenant}` }),        a path without the prefix
//     again: tenantPage,                          shown anew for `{ problems }`, with what was typed in `view.form`
//   });
//
// Links are made by `view.href(path, query)` and `view.here(changes)`, which know the path prefix; forms by `postForm` of
// html.ts. `view.may('POST …')` tells whether to show a button. No inline style or script: the policy refuses them.
import { z } from 'zod';
import { type Database, rows, type Transaction } from '../store/database/pool.ts';
import { readWithin } from '../store/database/reading.ts';
import type { ListedWebhook } from '../store/webhooks/webhooks.ts';
import { mayUse, type Route, type Viewer } from './access.ts';
import { actMs, inTime } from './act-time.ts';
import type { Html } from './html.ts';
import { newsMark } from './news.ts';
import type { Order } from './query.ts';
import type { WebLanguage } from './web-language.ts';

export type Query = Readonly<Record<string, string | number | boolean | Order | null | undefined>>;

/** A wrong field of a form, or a problem of all of it. */
export type Problem = { readonly field?: string; readonly message: string };

/** A form that was sent and comes back: what was typed, and why or what it would do. */
export type SentForm = {
  /** By field: its text, or the texts of a field that was sent more than once. Pages read it by typed.ts. */
  readonly typed: Readonly<Record<string, string | readonly string[]>>;
  readonly problems: readonly Problem[];
  /** What the act shows inside the form: what it would do, or the choice of what was meant. */
  readonly shown?: Html;
  /** What is stored has changed since the form was filled: `problems` say where. */
  readonly conflict?: boolean;
};

/** The answer of an address to a message that tries it. */
export type TestAnswer = {
  /** Null: no answer came. */
  readonly status: number | null;
  readonly problem: string | null;
  /** The first characters of the answer. */
  readonly answer: string | null;
  readonly ms: number;
};

/** Sends a message that tries an address, and returns the answer. */
export type SendTest = (database: Database, webhook: ListedWebhook) => Promise<TestAnswer>;

/** One request as a page sees it. `Values`: the parsed query of a page, or the parsed form of an act. */
export type View<Values> = {
  /** The path without the prefix, such as `/console`. */
  readonly path: string;
  /** The parts of the path that the route names. `tenant` is a GUID in lower case. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Values;
  readonly viewer: Viewer;
  /** The database's time. */
  readonly now: Date;
  /** The language of the page; the console's is English. */
  readonly language: WebLanguage;
  /** Set when a form of this page was sent and comes back. */
  readonly form: SentForm | undefined;
  /** The token that every form carries; `postForm` puts it in. */
  readonly token: string;
  /** The public address of the consent page; undefined where this process does not know it. */
  readonly consentUrl: string | undefined;
  /** Undefined where this process sends none. */
  readonly sendTest: SendTest | undefined;
  /** Where the feed stood when a page of a tenant was read. */
  readonly mark: string | undefined;
  /** Returns the address of a path of ours, prefix included. Empty values are left out of the query. */
  href(path: string, query?: Query): string;
  /** Returns the address of this page with a changed query; a change to undefined takes a value out. */
  here(changes?: Query): string;
  /** Returns whether the viewer may use a route: in the tenant of this page, or the one that is given. */
  may(route: Route, tenantId?: string): boolean;
  /** Like `may`, where this process serves the route: pages of another part may be served elsewhere. */
  serves(route: Route, tenantId?: string): boolean;
};

/** The content of a page; the part's frame adds header, navigation and style. */
export type Content = {
  readonly title: string;
  readonly content: Html;
  /** The entry of the navigation that is marked as current. */
  readonly section?: string;
  /** What the frame shows above it, where the page knows better than the frame. */
  readonly header?: Html;
};

/** One request as the server hands it over. */
export type Asked = {
  readonly database: Database;
  readonly route: Route;
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  /** The query, or the body of a form, as sent. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly viewer: Viewer;
  readonly token: string;
  readonly form?: SentForm;
  /** The path of the public address, without a trailing slash. */
  readonly base: string;
  readonly consentUrl?: string | undefined;
  readonly sendTest?: SendTest | undefined;
  /** The routes of the pages that this process serves. */
  readonly served?: ReadonlySet<Route> | undefined;
  readonly language: WebLanguage;
  /** The role of the database that reads and writes the pages of the contract. */
  readonly contractRole?: string | undefined;
};

/** A line of the audit: what was looked at or done. */
export type Audited = {
  /** Words of lower case with dots, such as `person.viewed`. */
  readonly act: string;
  /** That of the page's `:tenant`, unless it says otherwise. */
  readonly tenantId?: string | null;
  readonly accountId?: string | null;
  /** Ids, counts and words of ours: never values of people. */
  readonly detail?: Readonly<Record<string, unknown>>;
};

export type Shown = { readonly view: View<unknown>; readonly content: Content; readonly audited: readonly Audited[] };

export type Page = {
  readonly kind: 'page';
  readonly route: Route;
  /** The vendor's people say why, once a tenant and session, before it opens. */
  readonly asksReason: boolean;
  /** Returns the content, or undefined for a 404. Throws `TooSlow`. */
  show(asked: Asked): Promise<Shown | undefined>;
  /** Returns a view without data, for the page that says that the statement took too long. */
  empty(asked: Asked): View<unknown>;
};

/** The way an act ended. `conflict`: what is stored has changed meanwhile (409). `late`: its time was over (503). */
export type Done =
  | { readonly to: string; readonly audited?: Omit<Audited, 'act'> }
  | { readonly problems: readonly Problem[]; readonly conflict?: boolean; readonly late?: true; readonly shown?: Html }
  /** Nothing is done: the form comes back with what it would do. */
  | { readonly preview: Html }
  /** It is done, and the page tells once what no other page will. */
  | { readonly told: Html; readonly audited?: Omit<Audited, 'act'> };

export type Action = {
  readonly kind: 'action';
  readonly route: Route;
  readonly audit: string;
  /** The page that a refused form shows again. */
  readonly again: Page;
  /** Does it. Problems come back with what was typed. Undefined for a 404. */
  act(asked: Asked): Promise<Done | undefined>;
};

export type Shape = Readonly<Record<string, z.ZodType>>;
/** Values of a query: each is there, or was dropped. */
export type Parsed<Fields extends Shape> = { readonly [Name in keyof Fields]: z.output<Fields[Name]> | undefined };
/** Values of a form: each fits. */
export type Whole<Fields extends Shape> = { readonly [Name in keyof Fields]: z.output<Fields[Name]> };

/** The time that one statement of a page may take, in milliseconds. */
export const statementMs = 3_000;

/** Describes a page: see the head of this file. */
export function page<Fields extends Shape, Data>(description: {
  readonly route: Route;
  readonly query: Fields;
  readonly load: (read: Transaction, view: View<Parsed<Fields>>) => Promise<Data | undefined>;
  readonly render: (data: Data, view: View<Parsed<Fields>>) => Content;
  /** The vendor's people say why before it opens: set for every page of one person. */
  readonly asksReason?: boolean;
  /** The lines that a look at this page adds to the audit. It is written before the page is sent. */
  readonly audit?: (data: Data, view: View<Parsed<Fields>>) => readonly Audited[];
}): Page {
  const { route, query, load, render, audit, asksReason = false } = description;
  return {
    kind: 'page',
    route,
    asksReason,
    show: ({ database, ...asked }) =>
      readWithin(database, statementMs, async (read, now) => {
        // A refused form shows the page with its address's query, of which there is none.
        const mark = asked.params.tenant === undefined ? undefined : await newsMark(read);
        const view = viewOf(asked, parseQuery(query, asked.form ? {} : asked.given), now, mark);
        const data = await load(read, view);
        if (data === undefined) return undefined;
        return { view, content: render(data, view), audited: audit?.(data, view) ?? [] };
      }),
    empty: (asked) => viewOf(asked, parseQuery(query, asked.form ? {} : asked.given), new Date()),
  };
}

/** Returns the view of a page that `page` does not describe, such as a download. */
export function viewWith<Fields extends Shape>(
  asked: Omit<Asked, 'database'>,
  query: Fields,
  now: Date,
): View<Parsed<Fields>> {
  return viewOf(asked, parseQuery(query, asked.given), now);
}

/** Describes an act: see the head of this file. `act` runs its own transaction, by functions of the store. */
export function action<Fields extends Shape>(description: {
  readonly route: Route;
  readonly form: Fields;
  /** The form has fields with names of their own too; the act reads them as texts. */
  readonly others?: true;
  readonly audit: string;
  /** The time that a statement of it may take; `actMs` unless it says otherwise. */
  readonly statementMs?: number;
  readonly act: (database: Database, view: View<Whole<Fields>>) => Promise<Done | undefined>;
  readonly again: Page;
}): Action {
  const { route, form, audit, statementMs: ms = actMs, act, again, others } = description;
  const schema = others ? z.looseObject(form) : z.object(form);
  return {
    kind: 'action',
    route,
    audit,
    again,
    act: async (asked) => {
      const parsed = parseForm(schema, asked);
      if ('problems' in parsed) return parsed;
      return inTime(ms, async () => {
        const [told] = await rows<{ now: Date }>(asked.database, 'select clock_timestamp() as now');
        return act(asked.database, viewOf(asked, parsed.values as Whole<Fields>, told?.now ?? new Date()));
      });
    },
  };
}

/** Returns the values of a form, or the problems for the page that shows it again. */
export function parseForm<Values>(
  schema: z.ZodType<Values>,
  { given, language }: Pick<Asked, 'given' | 'language'>,
): { readonly values: Values } | { readonly problems: readonly Problem[] } {
  const { forms } = language.texts;
  // A text of Postgres holds no NUL.
  if (Object.values(given).some((value) => [value].flat().some((one) => String(one).includes('\0'))))
    return { problems: [{ message: forms.character }] };
  const parsed = schema.safeParse(given);
  if (parsed.success) return { values: parsed.data };
  // A word of the library is for programs: the form then was not one of our pages, or its text is too long.
  const problems = parsed.error.issues.flatMap((one) => {
    const field = String(one.path[0]);
    if (!ofLibrary.test(one.message)) return [{ field, message: one.message }];
    const isLong = one.code === 'too_big' && one.origin === 'string';
    return isLong ? [{ field, message: forms.tooLong.replace('{max}', String(one.maximum)) }] : [];
  });
  return { problems: problems.length > 0 ? problems : [{ message: forms.notWhole }] };
}

const ofLibrary = /^(Invalid |Too |Unrecognized )/;

/** Returns the values of a query. */
export function parseQuery<Fields extends Shape>(
  fields: Fields,
  given: Readonly<Record<string, unknown>>,
): Parsed<Fields> {
  const parsed = Object.entries(fields).map(([name, schema]) => {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    // A text of Postgres holds no NUL.
    const isNone = value === '' || (typeof value === 'string' && value.includes('\0'));
    const found = schema.safeParse(isNone ? undefined : value);
    return [name, found.success ? found.data : schema.safeParse(undefined).data];
  });
  return Object.fromEntries(parsed) as Parsed<Fields>;
}

/** Returns the view of a request with these values of its query or form. `mark`: what a page has seen of its tenant. */
export function viewOf<Values>(asked: Omit<Asked, 'database'>, query: Values, now: Date, mark?: string): View<Values> {
  const { path, params, viewer, token, base, language, consentUrl, sendTest } = asked;
  const href = (to: string, values: Query = {}) => {
    const parts = new URLSearchParams();
    for (const [name, value] of Object.entries(values))
      if (value !== undefined && value !== null && value !== '') parts.set(name, String(value));
    return `${base}${encodeURI(to)}${parts.size > 0 ? `?${parts}` : ''}`;
  };
  return {
    ...{ path, params, query, viewer, now, language, token, mark, form: asked.form, consentUrl, sendTest, href },
    // `done` tells once that an act was done.
    here: (changes = {}) => href(path, { ...(query as Query), done: undefined, ...changes }),
    may: (to, tenantId = params.tenant) => mayUse(viewer, to, tenantId),
    serves: (to, tenantId = params.tenant) => asked.served?.has(to) === true && mayUse(viewer, to, tenantId),
  };
}
