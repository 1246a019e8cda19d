// A name to type before something is erased.
import { ExpectedError } from '../errors.ts';
import type { Run } from './command.ts';
import { askPerson } from './terminal.ts';

/**
 * Asks for the name of what is to be erased, unless `given` has it. Throws `usage` for another name, or where no person can
 * be asked.
 */
export async function confirmName(
  run: Run,
  { name, given, what, warning, again }: Record<'name' | 'what' | 'warning' | 'again', string> & { given?: string },
): Promise<void> {
  if ((given ?? (await askForName(run, warning))) === name) return;
  throw new ExpectedError('usage', `the name of the ${what} is ${JSON.stringify(name)}; nothing was erased`, {
    cure: `${again} --confirm ${JSON.stringify(name)}`,
  });
}

async function askForName(run: Run, warning: string): Promise<string | undefined> {
  if (process.stdin.isTTY) run.terminal.note(warning);
  return askPerson('Type its name to confirm: ', run.signal);
}
