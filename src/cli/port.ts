// A port as people type it.
import { InvalidArgumentError } from 'commander';

/** Returns the port of an option; 0 is any free one. */
export function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('a whole number from 0 to 65535 is needed');
}
