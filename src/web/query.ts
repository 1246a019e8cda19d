// Values of a query that several lists take: a day, the order, and the position after a row.
import { z } from 'zod';
import { asGuid } from '../rules/decode.ts';

/** A query value of a day, as an input of a form sends it: one that the calendar has, from 1970 to 9998. */
export const day = z
  .string()
  .regex(/^(19[7-9]\d|[2-8]\d{3}|9[0-8]\d{2}|99[0-8]\d|999[0-8])-\d\d-\d\d$/)
  .refine((text) => {
    const time = new Date(`${text}T00:00:00Z`);
    return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(text);
  });

/** Returns the day after as a time, so that the last day counts whole. */
export const dayAfter = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : new Date(Date.parse(text) + 86_400_000).toISOString();

/** The order of a list: the name of a column, and whether the last row by it comes first. */
export type Order<Name extends string = string> = {
  readonly by: Name;
  readonly descending: boolean;
  toString(): string;
};

/** Returns an order as a query has it: the name, behind a minus sign if the last row comes first. */
export const orderBy = <Name extends string>(by: Name, descending = false): Order<Name> => ({
  ...{ by, descending },
  toString: () => `${descending ? '-' : ''}${by}`,
});

/** Returns the query value of an order by one of these columns. */
export const order = <const Name extends string>(...names: readonly Name[]) =>
  z.string().transform((text, context) => {
    const descending = text.startsWith('-');
    const by = names.find((name) => name === text.slice(descending ? 1 : 0));
    if (by !== undefined) return orderBy(by, descending);
    context.addIssue('not an order');
    return z.NEVER;
  });

type Key = string | number | null;

/** The kinds of sort keys: any text or none, a GUID, a whole number, a whole number or none. */
const keyKinds = {
  text: (key: Key) => key === null || (typeof key === 'string' && !key.includes('\0')),
  id: (key: Key) => typeof key === 'string' && asGuid(key) === key,
  number: (key: Key) => /^\d{1,18}$/.test(String(key)),
  place: (key: Key) => key === null || /^\d{1,18}$/.test(String(key)),
} as const;

/**
 * Returns the query value of a position in a list: the sort keys of the last row shown, as `positionOf` wrote them. One
 * with keys of other kinds, which a person made, is dropped like any bad value.
 */
export const position = (...kinds: readonly (keyof typeof keyKinds)[]) =>
  z
    .string()
    .max(2_000)
    .transform((text, context) => {
      try {
        const keys: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
        const fits = (key: unknown, at: number) =>
          (key === null || typeof key === 'string' || typeof key === 'number') && keyKinds[kinds[at] ?? 'id'](key);
        if (Array.isArray(keys) && keys.length === kinds.length && keys.every(fits))
          return { keys: keys as Key[], toString: () => text };
      } catch {}
      context.addIssue('not a position');
      return z.NEVER;
    });

/** Returns the position after a row, for a link to the next rows. */
export function positionOf(keys: readonly Key[]): string {
  return Buffer.from(JSON.stringify(keys)).toString('base64url');
}
