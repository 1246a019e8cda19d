// Whole numbers as options.
import { InvalidArgumentError } from 'commander';

/** Returns the number from 1 to 999,999 that `text` is, or throws `InvalidArgumentError`. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) < 1)
    throw new InvalidArgumentError('a whole number from 1 to 999999 is needed');
  return Number(text);
}
