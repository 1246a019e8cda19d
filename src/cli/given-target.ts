// The target and options of an assignment, as they are typed.
import { type Command, InvalidArgumentError } from 'commander';
import { ExpectedError } from '../errors.ts';
import { commandWord } from '../rules/shell.ts';
import type { Options, Target } from '../store/accounts/assignments.ts';
import type { Database } from '../store/database/pool.ts';
import { pickAccount, requireLive } from './accounts.ts';
import { pickGroup } from './groups.ts';
import type { Terminal } from './terminal.ts';
import { timeAhead, timeAheadHelp } from './times.ts';

export type TargetOptions = {
  everyone?: true;
  group?: string;
  account?: string[];
  field?: string;
  in?: string[];
  priority?: number;
  except?: true;
  starts?: string;
  ends?: string;
};

/** Adds the options that name a target, and those of an assignment. */
export function withTarget(command: Command): Command {
  return withTimes(command)
    .option('--everyone', 'to every account of the tenant')
    .option('--group <group>', 'to the members of a group, nested ones too: its name or id')
    .option('--account <account...>', 'to accounts: id, user principal name, mail or name of each; an assignment each')
    .option('--field <field>', 'to the accounts with one of the values of --in in this profile field')
    .option('--in <value...>', 'the values of --field, without case')
    .option('--except', 'takes the item away from the target instead');
}

/** Adds the options of an assignment that can be changed. */
export function withTimes(command: Command): Command {
  return command
    .option('--priority <n>', 'of two with the same kind of target the higher one wins', priority)
    .option('--starts <time>', timeAheadHelp, timeAhead)
    .option('--ends <time>', 'likewise', timeAhead);
}

function priority(text: string): number {
  if (!/^-?\d{1,7}$/.test(text)) throw new InvalidArgumentError('a whole number from -9999999 to 9999999 is needed');
  return Number(text);
}

/** Returns the target that the options name. Throws `usage` unless they name one, and `unknown_name`. */
export async function targetOf(
  terminal: Terminal,
  database: Database,
  tenantId: string,
  given: TargetOptions,
): Promise<Target> {
  requireOneTarget(given);
  if (given.group !== undefined)
    return { group: (await pickGroup(terminal, database, tenantId, given.group)).group_id };
  if (given.field !== undefined) return { field: given.field, in: given.in ?? [] };
  if (given.account === undefined) return { everyone: true };
  const accounts: string[] = [];
  for (const word of given.account) {
    const picked = await pickAccount(terminal, database, tenantId, word);
    if (!picked) {
      throw new ExpectedError('unknown_name', `there is no account ${word}`, {
        cure: `entra-sync find ${commandWord(word)} shows the nearest`,
      });
    }
    requireLive(picked.account);
    accounts.push(picked.account.account_id);
  }
  return { accounts };
}

function requireOneTarget(given: TargetOptions): void {
  if (given.in !== undefined && given.field === undefined)
    throw new ExpectedError('usage', '--in was given without --field', { cure: 'add --field FIELD' });
  if (given.field !== undefined && given.in === undefined)
    throw new ExpectedError('usage', '--field was given without --in', { cure: 'add --in VALUE' });
  const named = [given.everyone, given.group, given.account, given.field].filter((one) => one !== undefined);
  if (named.length === 1) return;
  throw new ExpectedError('usage', `${named.length === 0 ? 'no target was' : 'more than one target was'} given`, {
    cure: 'give one of --everyone, --group GROUP, --account ACCOUNT, --field FIELD --in VALUE',
  });
}

/** Returns the options of the assignment. */
export function optionsOf({ priority: given, except, starts, ends }: TargetOptions): Options {
  return {
    ...(given !== undefined && { priority: given }),
    ...(except && { except }),
    ...(starts !== undefined && { starts_at: starts }),
    ...(ends !== undefined && { ends_at: ends }),
  };
}
