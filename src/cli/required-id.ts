// Ids as people type them.
import { ExpectedError } from '../errors.ts';
import { asGuid } from '../rules/decode.ts';

/** Returns `text` as an id in lower case. Throws `usage` for anything else. */
export function requireId(text: string, option: string, what: string): string {
  const id = asGuid(text.trim());
  if (id) return id;
  throw new ExpectedError('usage', `${option} is not ${what}: ${JSON.stringify(text.slice(0, 80))}`, {
    cure: 'entra-sync find shows ids',
  });
}
