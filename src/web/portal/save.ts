// Saves what a form changed of a person, by the functions of the contract. All of it happens or nothing, and what another
// tab or a second press has saved already is no conflict.
import { type Contract, ContractRefusal, type Within } from '../contract-page.ts';
import type { Problem, View } from '../page.ts';
import { labelOf, type PersonField } from './fields.ts';
import { inputOf } from './inputs.ts';
import { fill, textsOf } from './language.ts';

export type Saving = {
  /** The account that acts, and the one that is edited. */
  readonly actor: string;
  readonly account: string;
  /** `updated_at` of the account when the form was filled. */
  readonly at: string;
  readonly edits: ReadonlyMap<string, unknown>;
  /** Fields that go back to the directory's value. */
  readonly reverts: readonly string[];
};

type Outcome =
  | { readonly saved: readonly string[] }
  | { readonly problems: readonly Problem[]; readonly conflict?: boolean };

async function write(contract: Contract, { actor, account, at, edits, reverts }: Saving): Promise<void> {
  const who = { actor, account, at };
  if (edits.size > 0)
    await contract.rows('select directory.edit_as(:actor, :account, :patch::jsonb, :at::timestamptz)', {
      ...who,
      patch: JSON.stringify(Object.fromEntries(edits)),
    });
  if (reverts.length > 0)
    await contract.rows('select directory.revert_as(:actor, :account, :reverts::text[], :at::timestamptz)', {
      ...who,
      reverts,
    });
}

/** Saves it, in one transaction; returns the fields that were written, or the problems. Throws other refusals. */
export async function save(
  within: Within,
  saving: Saving,
  fields: readonly PersonField[],
  view: View<unknown>,
): Promise<Outcome> {
  const edits = new Map(saving.edits);
  const reverts = [...saving.reverts];
  for (;;) {
    if (edits.size + reverts.length === 0) return { saved: [] };
    try {
      await within((contract) => write(contract, { ...saving, edits, reverts }));
      return { saved: [...edits.keys(), ...reverts] };
    } catch (error) {
      if (!(error instanceof ContractRefusal) || error.isNothing || error.field === undefined) throw error;
      const { field } = error;
      const conflict = error.code === 'ES009';
      if (conflict && isSame(error) && (edits.delete(field) || takeOut(reverts, field))) continue;
      // The contract names the first problem, and a person wants to see all of them.
      const others = await refusalsOf(within, { ...saving, edits });
      const alike = others.filter((one) => (one.code === 'ES009') === conflict && !(conflict && isSame(one)));
      const told = alike.length > 0 ? alike : [error];
      return { problems: told.map((one) => problemOf(one, fields, view)), conflict };
    }
  }
}

const isSame = ({ facts }: ContractRefusal) => JSON.stringify(facts.yours) === JSON.stringify(facts.theirs);

function takeOut(list: string[], one: string): boolean {
  const place = list.indexOf(one);
  return place >= 0 && list.splice(place, 1).length > 0;
}

class TriedOut extends Error {
  readonly profile: Profile;
  constructor(profile: Profile) {
    super();
    this.profile = profile;
  }
}

type Profile = Readonly<Record<string, unknown>>;

/** Returns the profile as these edits would leave it, without those that are refused, and their problems. Nothing is written. */
export async function tryOut(
  within: Within,
  saving: Pick<Saving, 'actor' | 'account' | 'edits'>,
  fields: readonly PersonField[],
  view: View<unknown>,
): Promise<{ readonly profile: Profile; readonly problems: readonly Problem[] }> {
  const edits = new Map(saving.edits);
  const problems: Problem[] = [];
  for (;;) {
    try {
      return await within(async (contract) => {
        const [row] = await contract.rows<{ profile: Profile }>(
          edits.size === 0
            ? 'select a.profile from directory.accounts a where a.account_id = :account'
            : 'select directory.edit_as(:actor, :account, :patch::jsonb) as profile',
          { ...saving, patch: JSON.stringify(Object.fromEntries(edits)) },
        );
        throw new TriedOut(row?.profile ?? {});
      });
    } catch (error) {
      if (error instanceof TriedOut) return { profile: error.profile, problems };
      if (!(error instanceof ContractRefusal) || error.isNothing || edits.size === 0) throw error;
      problems.push(problemOf(error, fields, view));
      if (error.field === undefined || !edits.delete(error.field)) edits.clear();
    }
  }
}

class Probed extends Error {}

/** Returns the refusal of each edit that the contract refuses by itself, whatever it says of the others. */
async function refusalsOf(within: Within, saving: Saving): Promise<ContractRefusal[]> {
  const refusals: ContractRefusal[] = [];
  for (const one of saving.edits) {
    try {
      await within(async (contract) => {
        await write(contract, { ...saving, edits: new Map([one]), reverts: [] });
        // Only asked: nothing of it is kept.
        throw new Probed();
      });
    } catch (error) {
      if (error instanceof ContractRefusal) refusals.push(error);
      else if (!(error instanceof Probed)) throw error;
    }
  }
  return refusals;
}

/** Returns a refusal as the problem of its field, in the language of the page. */
export function problemOf(refusal: ContractRefusal, fields: readonly PersonField[], view: View<unknown>): Problem {
  const found = fields.find(({ field }) => field === refusal.field);
  const label = found ? labelOf(found, view) : (refusal.field ?? '');
  return {
    // A field that may not be edited has no input.
    ...(found && !notYours.includes(refusal.code) && { field: inputOf(found.field) }),
    message: fill(sentenceOf(refusal, view), { field: label, ...limitsOf(refusal) }),
  };
}

/** The directory owns the field, there is none, or this role may not edit it. */
const notYours = ['ES001', 'ES002', 'ES003'];

const limitsOf = ({ facts }: ContractRefusal) => ({ max: String(facts.max_length ?? facts.max_items ?? '') });

function sentenceOf({ code, facts }: ContractRefusal, view: View<unknown>): string {
  const { problems } = textsOf(view);
  if (code === 'ES009') return problems.changed;
  if (code === 'ES008') return problems.taken;
  if (notYours.includes(code)) return problems.notYours;
  if (facts.max_length !== undefined) return problems.tooLong;
  if (facts.max_items !== undefined) return problems.tooMany;
  if (facts.pattern !== undefined) return problems.pattern;
  return facts.type === 'number' ? problems.number : problems.unfit;
}
