// One stream of one cycle: what differs between streams, what a walk of one needs, and what comes out of it.

import type { GraphReader } from '../graph/reader.ts';
import type { Log } from '../logger.ts';
import type { DeltaPage } from '../rules/decode.ts';
import type { Stream } from '../rules/streams.ts';
import type { Settings } from '../settings/settings.ts';
import type { ChangeSample } from '../store/commit/sample.ts';
import type { StreamReport } from '../store/cycle/cycles.ts';
import type { Lease } from '../store/cycle/lease.ts';
import type { Database } from '../store/database/pool.ts';
import type { PageOfRound, Round } from '../store/stage/rounds.ts';
import type { TenantState } from '../store/stage/tenant-state.ts';

/** Where a stream stands, for a progress bar. `total` is there when Graph lets it be guessed. */
export type Progress = {
  stream: Stream;
  /** `list` and `show`: of a quick first load, before the first round. */
  phase: 'list' | 'show' | 'pull' | 'ask' | 'commit';
  pages: number;
  objects: number;
  total: number | undefined;
};

/** The round that a stream walks, as it stands: what is told of it should it fail. */
export type RoundReport = Pick<StreamReport, 'round' | 'reason' | 'pages' | 'seen'>;

/** What a cycle goes by: the settings in force, and where its streams stand. */
export type CycleInputs = { readonly settings: Settings; readonly streams: TenantState['streams'] };

export type StreamContext = {
  readonly database: Database;
  readonly lease: Lease;
  readonly reader: GraphReader;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly actor: string;
  readonly cycleId: string | null;
  readonly dryRun: boolean;
  /** A full round is asked for, whatever the checkpoint says. */
  readonly resync: boolean;
  readonly inputs: CycleInputs;
  /** The same, read anew. */
  readonly rereadInputs: () => Promise<CycleInputs>;
  readonly onProgress: (progress: Progress) => void;
  /** Kept up while the stream goes on. */
  readonly trail: { now: RoundReport };
  /** Settled when this cycle's groups are committed, or have failed; in a dry run with the round of groups that it staged. */
  readonly memberships: Promise<Round | undefined>;
};

/** What differs between the streams. */
export type StreamParts<Page extends DeltaPage> = {
  readonly stream: Stream;
  firstUrl(origin: string, settings: Settings): string;
  decode(settings: Settings): (body: unknown) => Page | { readonly malformed: string };
  join(pages: readonly Page[], last: Page): Page;
  /** How many pages that have come meanwhile are staged at once, at most. */
  readonly pagesTogether: number;
  /** Stages a page, or several joined to one, and returns the round as it then stands. */
  stage(
    context: Pick<StreamContext, 'database' | 'lease'>,
    settings: Settings,
    round: Round,
    page: Page,
    base: PageOfRound,
  ): Promise<Round>;
  /** What has to be known before the first page of a full round. */
  beforeFullRound?(context: StreamContext): Promise<void>;
  /** Rule 22: reads singly what came in a doubtful way, before anything rests on it. */
  ask(context: StreamContext, settings: Settings, round: Round): Promise<void>;
};

export type StreamResult = {
  report: StreamReport;
  sample: readonly ChangeSample[];
  checkpointAgeMs: number | undefined;
  /** As it was committed, or rehearsed; none where the checkpoint moved without one. */
  round: Round | undefined;
  /** Why the full round of the stream is not finished, beside which changes were committed. */
  unfinished?: unknown;
};
