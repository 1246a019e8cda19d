// Page links, checkpoints and single objects that fail for ever while other requests are answered.
import { type Answer, graphError } from '../answers.ts';
import type { StreamName } from '../tenant/properties.ts';

type Refusal = {
  status: number;
  /** `error.code`; default: UnknownError. */
  code?: string;
};

/** A link to a page of a round. The delta link (the checkpoint) leads to page 1 of a later round. */
export type StuckLink = Refusal & {
  stream: StreamName;
  round: 'full' | 'later';
  page: number;
  /** Only links of rounds that began at least so many edits of the tenant ago. */
  edits?: number;
};

/** An object whose requests fail: `at` names the resource, or every `$batch` that contains the object. */
export type StuckObject = Refusal & {
  id: string;
  at: 'object' | 'members' | 'memberOf' | 'manager' | 'directReports' | 'batch';
};

export type Stuck = { links: StuckLink[]; objects: StuckObject[] };

const refusalOf = ({ status, code = 'UnknownError' }: Refusal): Answer =>
  graphError(status, code, 'The request cannot be served.');

/** Returns the refusal of a stuck link. `edits` counts the tenant's edits since its round began. */
export function refuseStuckLink(
  { links }: Stuck,
  asked: { stream: StreamName; round: 'full' | 'later'; page: number; edits: number },
): Answer | undefined {
  const stuck = links.find(
    ({ stream, round, page, edits = 0 }) =>
      stream === asked.stream && round === asked.round && page === asked.page && asked.edits >= edits,
  );
  return stuck && refusalOf(stuck);
}

const places: readonly string[] = ['object', 'members', 'memberOf', 'manager', 'directReports'];

/** Whether single requests for this resource of an object can be stuck. */
export function isStuckPlace(at: string): at is Exclude<StuckObject['at'], 'batch'> {
  return places.includes(at);
}

/** Returns the refusal of a request for a stuck object. */
export function refuseStuckObject({ objects }: Stuck, id: string, at: StuckObject['at']): Answer | undefined {
  const stuck = objects.find((one) => one.id === id && one.at === at);
  return stuck && refusalOf(stuck);
}
