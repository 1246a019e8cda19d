// A page or an act that reads and writes by the contract alone, in the manner of page.ts. Each of its transactions names the
// viewer's tenant, is a tenant-bound role of the database, and has statements that end (rule 44).
//
//   export const mePage = contractPage({
//     route: 'GET /me',                           a line of access.ts
//     query: {},
//     load: (contract, view) => contract.rows('select … from directory.accounts where …', { … }),   undefined: 404
//     render: (data, view) => ({ title: …, content: html`…` }),
//   });
//   export const save = contractAction({
//     route: 'POST /me',
//     form: { … },
//     audit: 'me.saved',
//     act: async (within, view) => {
//       await within((contract) => contract.rows('select directory.edit_as(…)', { … }));     a transaction each
//       return { to: '/me' };
//     },
//     again: mePage,
//   });
//
// An account, tenant or change that the tenant does not have (ES004) is a 404, and so is a person that the viewer does not
// manage (ES003 without a field). `act` catches what else the contract refuses (`ContractRefusal`), and says it at its field.
// A form that the database cannot take now comes back with the typed text.
import { z } from 'zod';
import { ExpectedError } from '../errors.ts';
import { describeDatabaseError, rows, sqlState } from '../store/database/pool.ts';
import { TooSlow } from '../store/database/reading.ts';
import { withinContract } from '../store/web/contract.ts';
import type { Route } from './access.ts';
import { type Download, downloadBy } from './download.ts';
import { type News, newsMs } from './news-question.ts';
import {
  type Action,
  type Asked,
  type Audited,
  type Content,
  type Done,
  type Page,
  type Parsed,
  parseForm,
  parseQuery,
  type Shape,
  statementMs,
  type View,
  viewOf,
  type Whole,
} from './page.ts';
import type { Picture, SentPhoto } from './picture.ts';
import type { Preview, Previewed } from './preview.ts';

/** An open transaction of the contract. */
export type Contract = {
  /** Runs one statement and returns its rows. `:name` stands for a value. */
  rows<Row>(sql: string, values?: Readonly<Record<string, unknown>>): Promise<Row[]>;
};

/** Runs one transaction of the contract; throws `ContractRefusal`. */
export type Within = <Answer>(work: (contract: Contract) => Promise<Answer>) => Promise<Answer>;

type Facts = Readonly<Record<string, unknown>>;

/** An error of the contract, by its SQLSTATE: `ES…`, or 22023 for an argument that cannot be; docs/contract.md lists them. */
export class ContractRefusal extends Error {
  readonly code: string;
  /** The field that is refused. */
  readonly field: string | undefined;
  /** The facts of the refusal. They may hold values of a profile: keep them out of logs and of the audit. */
  readonly facts: Facts;

  constructor(code: string, { column, detail, cause }: { column?: unknown; detail?: unknown; cause: unknown }) {
    super(`the contract refused it (${code})`, { cause });
    this.name = 'ContractRefusal';
    this.code = code;
    this.field = typeof column === 'string' ? column : undefined;
    this.facts = typeof detail === 'string' && detail.startsWith('{') ? (JSON.parse(detail) as Facts) : {};
  }

  /** Whether there is nothing for the viewer: no such object in the tenant, or a person that the viewer does not manage. */
  get isNothing(): boolean {
    return this.code === 'ES004' || this.code === '22023' || (this.code === 'ES003' && this.field === undefined);
  }
}

/** Describes a page of the contract: see the head of this file. */
export function contractPage<Fields extends Shape, Data>(description: {
  readonly route: Route;
  readonly query: Fields;
  readonly load: (contract: Contract, view: View<Parsed<Fields>>) => Promise<Data | undefined>;
  readonly render: (data: Data, view: View<Parsed<Fields>>) => Content;
  readonly audit?: (data: Data, view: View<Parsed<Fields>>) => readonly Audited[];
}): Page {
  const { route, query, load, render, audit } = description;
  return {
    kind: 'page',
    route,
    asksReason: false,
    show: (asked) =>
      transaction(asked, true, async (contract, now) => {
        const view = viewOf(asked, parseQuery(query, asked.form ? {} : asked.given), now);
        const data = await load(contract, view);
        if (data === undefined) return undefined;
        return { view, content: render(data, view), audited: audit?.(data, view) ?? [] };
      }).catch((error: unknown) => {
        if (error instanceof ContractRefusal && error.isNothing) return undefined;
        throw error;
      }),
    empty: (asked) => viewOf(asked, parseQuery(query, asked.form ? {} : asked.given), new Date()),
  };
}

/** Describes an act of the contract: see the head of this file. */
export function contractAction<Fields extends Shape>(description: {
  readonly route: Route;
  readonly form: Fields;
  /** The form has fields with names of their own too; the act reads them as texts. */
  readonly others?: true;
  readonly audit: string;
  readonly act: (within: Within, view: View<Whole<Fields>>) => Promise<Done | undefined>;
  readonly again: Page;
}): Action {
  const { route, form, audit, act, again, others } = description;
  const schema = others ? z.looseObject(form) : z.object(form);
  return {
    kind: 'action',
    route,
    audit,
    again,
    act: async (asked) => {
      const parsed = parseForm(schema, asked);
      if ('problems' in parsed) return parsed;
      const view = viewOf(asked, parsed.values as Whole<Fields>, new Date());
      try {
        return await act((work) => transaction(asked, false, work), view);
      } catch (error) {
        if (error instanceof ContractRefusal && error.isNothing) return undefined;
        if (isBusy(error)) return { problems: [{ message: view.language.texts.forms.busy }] };
        throw error;
      }
    },
  };
}

/** Describes a picture of the contract. `load` returns undefined for a 404, and content null where `known` has its hash. */
export function contractPicture(description: {
  readonly route: Route;
  readonly load: (contract: Contract, view: View<unknown>, known: readonly string[]) => Promise<SentPhoto | undefined>;
  readonly audit: (view: View<unknown>) => readonly Audited[];
}): Picture {
  const { route, load, audit } = description;
  return {
    ...{ kind: 'picture', route, asksReason: false },
    load: (asked, known) =>
      transaction(asked, true, async (contract, now) => {
        const view = viewOf(asked, {}, now);
        const photo = await load(contract, view, known);
        return photo && { photo, audited: audit(view) };
      }).catch((error: unknown) => {
        if (error instanceof ContractRefusal && error.isNothing) return undefined;
        throw error;
      }),
  };
}

/** Describes a download of the contract, as download.ts says. */
export function contractDownload<Fields extends Shape, Row>(
  description: Parameters<typeof downloadBy<Contract, Fields, Row>>[1],
): Download {
  return downloadBy((asked, work) => transaction(asked, true, work), description);
}

/** Describes the question of a page of the contract for what has changed. `count` returns undefined for a 404. */
export function contractNews<Fields extends Shape>(description: {
  readonly route: Route;
  readonly query: Fields;
  readonly count: (contract: Contract, view: View<Parsed<Fields>>) => Promise<number | undefined>;
}): News {
  const { route, query, count } = description;
  return {
    ...{ kind: 'news', route },
    count: (asked) =>
      transaction(
        asked,
        true,
        (contract, now) => count(contract, viewOf(asked, parseQuery(query, asked.given), now)),
        newsMs,
      ).catch((error: unknown) => {
        if (error instanceof ContractRefusal && error.isNothing) return undefined;
        throw error;
      }),
  };
}

// Another transaction held the account or the tenant for longer than the patience of ours, or of the statement.
const isBusy = (error: unknown) => {
  const told = describeDatabaseError(error);
  return error instanceof TooSlow || (told instanceof ExpectedError && told.code === 'database_locked');
};

/** Describes a preview of the contract: the view has the texts of the form. `show` leaves nothing of its transactions. */
export function contractPreview(description: {
  readonly route: Route;
  readonly audit: string;
  readonly show: (within: Within, view: View<Readonly<Record<string, string>>>) => Promise<Previewed | undefined>;
}): Preview {
  const { route, audit, show } = description;
  return {
    ...{ kind: 'preview', route, audit },
    show: async (asked) => {
      const texts = Object.entries(asked.given).flatMap(([name, value]): [string, string][] =>
        // A text of Postgres holds no NUL.
        typeof value === 'string' ? [[name, value.replaceAll('\0', '')]] : [],
      );
      const view = viewOf(asked, Object.fromEntries(texts), new Date());
      try {
        const shown = await show((work) => transaction(asked, false, work), view);
        return shown && { shown, audited: {} };
      } catch (error) {
        if (error instanceof ContractRefusal && error.isNothing) return undefined;
        throw error;
      }
    },
  };
}

function transaction<Answer>(
  { database, viewer, contractRole }: Asked,
  readOnly: boolean,
  work: (contract: Contract, now: Date) => Promise<Answer>,
  ms = statementMs,
): Promise<Answer> {
  const { tenantId } = viewer;
  if (contractRole === undefined || tenantId === null)
    throw new Error('a page of the contract has no role or no tenant');
  const bounds = { role: contractRole, tenantId, statementMs: ms, readOnly };
  return withinContract(database, bounds, (on, now) => {
    const contract: Contract = {
      rows: (sql, values = {}) =>
        rows<never>(on, sql, values).catch((error: unknown) => Promise.reject(asRefusal(error))),
    };
    return work(contract, now);
  });
}

function asRefusal(error: unknown): unknown {
  const code = sqlState(error);
  if (code === undefined || !/^(ES\d{3}|22023)$/.test(code)) return error;
  const { column, detail } = error as { column?: unknown; detail?: unknown };
  return new ContractRefusal(code, { column, detail, cause: error });
}
