// One stream of one cycle: what differs between streams, the context of a round, and its result.

import type { GraphReader } from '../graph/reader.ts';
import type { Log } from '../logger.ts';
import type { DeltaPage } from '../rules/decode.ts';
import type { Stream } from '../rules/streams.ts';
import type { Settings } from '../settings/settings.ts';
import type { ChangeSample } from '../store/commit/change-sample.ts';
import type { StreamReport } from '../store/cycle/cycles.ts';
import type { Lease } from '../store/cycle/lease.ts';
import type { Database } from '../store/database/pool.ts';
import type { PageOfRound, Round } from '../store/stage/rounds.ts';
import type { TenantState } from '../store/stage/tenant-state.ts';

/** `total` is an estimate, undefined if Graph gives none. */
export type Progress = {
  stream: Stream;
  /** `list` and `show`: the quick first load. */
  phase: 'list' | 'show' | 'pull' | 'ask' | 'commit';
  pages: number;
  objects: number;
  total: number | undefined;
};

/** For the report of a stream that fails. */
export type RoundReport = Pick<StreamReport, 'round' | 'reason' | 'pages' | 'seen'>;

/** The settings in force, and the state of the streams. */
export type CycleInputs = {
  readonly settings: Settings;
  readonly streams: TenantState['streams'];
  readonly narrowing: Narrowing;
};

/** Where the settings in force only narrow those of a stream's last round. */
export type Narrowing = {
  /** Set where the scope is narrower: where each condition went. */
  readonly users: readonly number[] | undefined;
  /** Fewer groups are copied. */
  readonly groups: boolean;
};

export type StreamContext = {
  readonly database: Database;
  readonly lease: Lease;
  readonly reader: GraphReader;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly actor: string;
  readonly cycleId: string | null;
  readonly dryRun: boolean;
  /** A person asked for a full round. */
  readonly resync: boolean;
  readonly inputs: CycleInputs;
  readonly rereadInputs: () => Promise<CycleInputs>;
  readonly onProgress: (progress: Progress) => void;
  /** The round under way, for the report if it fails. */
  readonly underWay: { round: RoundReport };
  /** Settles when this cycle's groups are committed or have failed; in a dry run with their staged round. */
  readonly memberships: Promise<Round | undefined>;
};

/** The parts that differ between the streams. */
export type StreamParts<Page extends DeltaPage> = {
  readonly stream: Stream;
  firstUrl(origin: string, settings: Settings): string;
  decode(settings: Settings): (body: unknown) => Page | { readonly malformed: string };
  join(pages: readonly Page[], last: Page): Page;
  /** The most pages that are staged together. */
  readonly pagesTogether: number;
  /** Stages a page, or several joined to one, and returns the advanced round. */
  stage(
    context: Pick<StreamContext, 'database' | 'lease'>,
    settings: Settings,
    round: Round,
    page: Page,
    base: PageOfRound,
  ): Promise<Round>;
  /** Runs before the first page of a full round. */
  beforeFullRound?(context: StreamContext): Promise<void>;
  /** Reads every object in doubt by GET, before the commit relies on it (rule 22). */
  ask(context: StreamContext, settings: Settings, round: Round): Promise<void>;
};

export type StreamResult = {
  report: StreamReport;
  sample: readonly ChangeSample[];
  checkpointAgeMs: number | undefined;
  /** The committed or dry-run round; undefined if the checkpoint moved without one. */
  round: Round | undefined;
  /** The failure of the full round beside which changes were committed. */
  unfinished?: unknown;
};
