// A rule that reaches no account, told apart from one that changes nothing.
import type { FrequentValue } from '../store/accounts/assignment-reach.ts';
import { countReached, frequentValues } from '../store/accounts/assignment-reach.ts';
import type { Given } from '../store/accounts/assignments.ts';
import type { Database } from '../store/database/pool.ts';
import { count, cut } from './format.ts';
import type { TargetOptions } from './given-target.ts';

type Reach = {
  /** How many accounts the assignment reaches, and the values of its field where these are none: for --json. */
  readonly answer: { readonly reaches: number; readonly frequent_values?: readonly FrequentValue[] };
  /** Why it reaches none; undefined if it reaches one. */
  readonly why: string | undefined;
};

/** Returns what an assignment reaches, and if that is no account, why. */
export async function reachOf(database: Database, given: Given, options: TargetOptions): Promise<Reach> {
  const reaches = await countReached(database, given);
  const { target, tenantId } = given;
  if (reaches > 0) return { answer: { reaches }, why: undefined };
  if ('group' in target)
    return { answer: { reaches }, why: `the group ${cut(options.group ?? target.group)} has no members` };
  if (!('field' in target)) return { answer: { reaches }, why: 'the tenant has no account' };
  const values = await frequentValues(database, tenantId, target.field);
  const none = `none has ${target.in.length === 1 ? 'this value' : 'one of these values'} of ${target.field}`;
  // Private values are for the person alone, and their numbers would tell them too.
  if (values === 'private') return { answer: { reaches }, why: `${none}, whose values are private` };
  return {
    answer: { reaches, frequent_values: values },
    why:
      values.length === 0 ? `none has a value of ${target.field}` : `${none}. The most frequent there: ${list(values)}`,
  };
}

const list = (values: readonly FrequentValue[]) =>
  values.map(({ value, accounts }) => `${cut(value)} (${count(accounts)})`).join(', ');
