// Links of a page, checkpoints and single objects that fail for ever while the rest is answered.
import { type Answer, graphError } from '../answers.ts';
import type { StreamName } from '../tenant/properties.ts';

type Refusal = {
  status: number;
  /** `error.code`; default: UnknownError. */
  code?: string;
};

/** Links to a page of a round. Page 1 of a later round is where its delta link, the checkpoint, leads. */
export type StuckLink = Refusal & {
  stream: StreamName;
  round: 'full' | 'later';
  page: number;
  /** Only links to rounds that began so many edits of the tenant ago, or more. */
  edits?: number;
};

/** An object that cannot be served by itself; `at` says which of its resources fails, or every batch that asks for it. */
export type StuckObject = Refusal & { id: string; at: 'object' | 'members' | 'memberOf' | 'batch' };

export type Stuck = { links: StuckLink[]; objects: StuckObject[] };

const refusalOf = ({ status, code = 'UnknownError' }: Refusal): Answer =>
  graphError(status, code, 'The request cannot be served.');

/** The answer to a link that is stuck, if it is. `edits`: of the tenant since its round began. */
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

/** The answer to a request for an object, or a resource of its, that is stuck, if it is. */
export function refuseStuckObject({ objects }: Stuck, id: string, at: StuckObject['at']): Answer | undefined {
  const stuck = objects.find((one) => one.id === id && one.at === at);
  return stuck && refusalOf(stuck);
}
