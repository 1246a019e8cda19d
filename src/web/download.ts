// A list as CSV, streamed lot by lot, so that neither the database nor this process holds all of it:
//
//   export const peopleDownload = download({
//     route: 'GET /console/t/:tenant/people.csv',      a line of access.ts
//     query: { words: z.string() },                    as the list's page has it; a value that does not fit is dropped
//     name: 'people',
//     columns: [{ title: 'name', of: (row) => row.name }, { title: 'phone', phone: true, of: (row) => row.phone }],
//     lot: (read, view, after, limit) => listPeople(read, …),      the rows after this row; each lot has 3 s
//     audit: () => ({ act: 'people.exported' }),       written before the first row is sent
//   });
import { csvLine } from '../rules/csv.ts';
import type { Transaction } from '../store/database/pool.ts';
import { readWithin } from '../store/database/reading.ts';
import type { Route } from './access.ts';
import { type Asked, type Audited, type Parsed, type Shape, statementMs, type View, viewWith } from './page.ts';

/** The most rows of a download. */
export const mostRows = 100_000;

const rowsOfLot = 1_000;

export type Column<Row> = {
  readonly title: string;
  readonly of: (row: Row) => string | null;
  /** A column of phone numbers, whose plus sign is no formula. */
  readonly phone?: true;
};

/** The beginning of a download. Its lots are read while it is sent. */
export type Begun = { readonly audited: Audited; readonly lines: AsyncIterable<string> };

export type Download = {
  readonly kind: 'download';
  readonly route: Route;
  readonly name: string;
  readonly asksReason: boolean;
  /** Reads the first lot; undefined for a 404. Throws `TooSlow`. */
  begin(asked: Asked): Promise<Begun | undefined>;
  /** Returns a view without data, for the pages that say that something is in the way. */
  empty(asked: Asked): View<unknown>;
};

/** A download as a file describes it. `lot` returns undefined for a 404. */
type Described<Reader, Fields extends Shape, Row> = {
  readonly route: Route;
  readonly query: Fields;
  readonly name: string;
  readonly asksReason?: boolean;
  readonly columns: readonly Column<Row>[];
  readonly lot: (
    read: Reader,
    view: View<Parsed<Fields>>,
    after: Row | undefined,
    limit: number,
  ) => Promise<readonly Row[] | undefined>;
  readonly audit: (view: View<Parsed<Fields>>) => Audited;
};

/** Describes a download: see the head of this file. */
export function download<Fields extends Shape, Row>(description: Described<Transaction, Fields, Row>): Download {
  return downloadBy(({ database }, work) => readWithin(database, statementMs, work), description);
}

/** Describes a download whose lots are read by `within`, a transaction each. */
export function downloadBy<Reader, Fields extends Shape, Row>(
  within: <Answer>(asked: Asked, work: (read: Reader, now: Date) => Promise<Answer>) => Promise<Answer>,
  description: Described<Reader, Fields, Row>,
): Download {
  const { route, query, name, columns, lot, audit, asksReason = false } = description;
  const lineOf = (row: Row) =>
    csvLine(
      columns.map(({ of, phone }) => {
        const text = of(row) ?? '';
        return phone ? { phone: text } : text;
      }),
    );
  return {
    ...{ kind: 'download', route, name, asksReason },
    empty: (asked) => viewWith(asked, query, new Date()),
    begin: async (asked) => {
      const readLot = (after: Row | undefined, limit: number) =>
        within(asked, async (read, now) => {
          const view = viewWith(asked, query, now);
          return { view, rows: await lot(read, view, after, limit) };
        });
      const first = await readLot(undefined, rowsOfLot);
      const { rows } = first;
      if (!rows) return undefined;
      async function* lines() {
        // A byte order mark, by which spreadsheets know UTF-8.
        yield `\uFEFF${csvLine(columns.map(({ title }) => title))}\r\n`;
        let found: readonly Row[] = rows ?? [];
        for (let sent = 0; found.length > 0; ) {
          yield found.map((row) => `${lineOf(row)}\r\n`).join('');
          sent += found.length;
          const limit = Math.min(rowsOfLot, mostRows - sent);
          if (found.length < rowsOfLot || limit <= 0) return;
          found = (await readLot(found.at(-1), limit)).rows ?? [];
        }
      }
      return { audited: audit(first.view), lines: lines() };
    },
  };
}

/** A time and a document as text of a cell. */
export const isoOf = (time: Date | null) => time?.toISOString() ?? null;
export const jsonOf = (value: unknown) => (value === null || value === undefined ? null : JSON.stringify(value));
