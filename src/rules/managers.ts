// Decodes who manages a user: the link `manager@delta` of a page, and the answers to /manager and /directReports.
import { asGuid, decodeObject, type Occurrence, type Problem, type SelectedProperties } from './decode.ts';

/** The property of a document that holds the object id of the user's manager. No other part of the user has this name. */
export const managerProperty = 'manager';

/** The property of a page that tells of a manager. */
const linkProperty = 'manager@delta';

type Told = { readonly manager: string } | { readonly formerManager: string } | { readonly odd: string } | undefined;

/**
 * Decodes a user with the manager. An entry with `@removed` is a former manager: it ends the link only if the document still
 * names that one (src/rules/merge.ts), because entries may come on several pages, in any order. Without the link the manager
 * is unchanged.
 */
export function decodeUserWithManager(item: unknown, selected: SelectedProperties): Occurrence | Problem {
  const decoded = decodeObject(item, selected);
  if (!('patch' in decoded)) return decoded;
  const told = decodeLink((item as Record<string, unknown>)[linkProperty]);
  if (told === undefined) return decoded;
  if ('manager' in told) return { ...decoded, patch: { ...decoded.patch, [managerProperty]: told.manager } };
  if ('formerManager' in told) return { ...decoded, formerManager: told.formerManager };
  return { ...decoded, odd: { ...decoded.odd, [managerProperty]: told.odd } };
}

function decodeLink(link: unknown): Told {
  if (link === undefined || link === null) return undefined;
  if (!Array.isArray(link)) return { odd: `${linkProperty} is not a list` };
  const managers: string[] = [];
  const former: string[] = [];
  for (const entry of link as unknown[]) {
    const id = idOf(entry);
    if (id === undefined) return { odd: 'the id of the manager is not a GUID' };
    const { '@removed': removed } = entry as Record<string, unknown>;
    (removed === undefined || removed === null ? managers : former).push(id);
  }
  const [manager] = managers.slice(-1);
  const [formerManager] = former.slice(-1);
  if (manager !== undefined) return { manager };
  return formerManager === undefined ? undefined : { formerManager };
}

/** Returns the id in a manager or direct report as Graph shows it, else undefined. */
export function idOf(entry: unknown): string | undefined {
  const { id } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
  return typeof id === 'string' ? asGuid(id) : undefined;
}
