// Choices of groups to draw, with the groups that they copy, by no rule of the product.
import fc from 'fast-check';
import type { Tenant } from '../../src/simulator/index.ts';
import { pick } from './group-edits.ts';

/** The choice as written. A number stands for the object id of a group. */
export type DrawnChoice = {
  readonly only: readonly (string | number)[];
  readonly except: readonly (string | number)[];
};

const globs: Readonly<Record<string, (name: string) => boolean>> = {
  'Team *': (name) => name.startsWith('team '),
  'rename? 1*': (name) => /^rename. 1/s.test(name),
  '*E*': (name) => name.includes('e'),
  '*a*s*': (name) => /a.*s/s.test(name),
};

const entries = fc.array(fc.oneof(fc.constantFrom(...Object.keys(globs)), fc.nat(40)), { maxLength: 3 });

export const drawnChoice: fc.Arbitrary<DrawnChoice> = fc.record({
  only: fc.oneof(fc.constant([]), entries),
  except: fc.oneof(fc.constant([]), entries),
});

export const everyGroup: DrawnChoice = { only: [], except: [] };

/** Returns the choice with object ids of the tenant, as a settings file has it. */
export function writtenChoice(tenant: Tenant, { only, except }: DrawnChoice): { only: string[]; except: string[] } {
  const known = tenant.groups().map(({ id }) => id);
  const written = (entry: string | number) => (typeof entry === 'string' ? entry : (pick(known, entry) ?? []));
  return { only: only.flatMap(written), except: except.flatMap(written) };
}

/** Whether a written choice copies a group with this object id and name. */
export function isCopied(choice: { only: string[]; except: string[] }, id: string, name: string): boolean {
  const names = (entry: string) => globs[entry]?.(name.toLowerCase()) ?? entry === id;
  return !choice.except.some(names) && (choice.only.length === 0 || choice.only.some(names));
}
