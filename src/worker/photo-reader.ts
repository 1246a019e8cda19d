// Reads the photos that are due, tenant by tenant, beside the cycles and in none of their slots.
import type { CycleParts } from '../engine/cycle.ts';
import { type PhotosReport, runPhotos } from '../engine/photos.ts';
import { ExpectedError } from '../errors.ts';
import { forTenant } from '../store/database/activity.ts';
import { tenantsDueForPhotos } from '../store/photos/lanes.ts';

export type PhotoReader = {
  /** Starts to read what is due, as far as there is room. */
  look(): void;
  /** Resolves when nothing is under way; never rejects. */
  idle(): Promise<void>;
};

export type PhotoReaderOptions = {
  readonly signal: AbortSignal;
  /** Receives errors of the database and defects. Others are the tenant's, and are logged. */
  readonly onError: (error: unknown) => void;
  /** Counts what a pass has read. */
  readonly onPhotos?: ((report: PhotosReport) => void) | undefined;
  /** Milliseconds between two looks. */
  readonly everyMs?: number;
  /** The time after which another tenant gets a turn, in milliseconds. */
  readonly turnMs?: number;
};

/** The tenants whose photos one worker reads at a time. */
const atOnce = 2;
const everyMs = 5_000;
const turnMs = 60_000;

/** Each look starts passes until there is no room; a tenant that is not done by the end of its turn is due again at once. */
export function openPhotoReader(parts: CycleParts, options: PhotoReaderOptions): PhotoReader {
  const { signal, onError, onPhotos } = options;
  const underWay = new Map<string, Promise<void>>();
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;

  async function start(): Promise<void> {
    for (const tenantId of await tenantsDueForPhotos(parts.database)) {
      if (underWay.size >= atOnce || signal.aborted) return;
      if (underWay.has(tenantId)) continue;
      const pass = forTenant(tenantId, () => read(tenantId)).finally(() => underWay.delete(tenantId));
      underWay.set(tenantId, pass);
    }
  }

  async function read(tenantId: string): Promise<void> {
    try {
      const report = await runPhotos(parts, { tenantId, signal, turnMs: options.turnMs ?? turnMs });
      if (!report) return;
      onPhotos?.(report);
      if (report.asked + report.removed > 0) parts.log.info({ tenantId, ...report }, 'photos read');
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ExpectedError) || error.code.startsWith('database_')) onError(error);
      else parts.log.warn({ tenantId, code: error.code, reason: error.message, cure: error.cure }, 'photos not read');
    }
  }

  return {
    look: () => {
      const isDue = performance.now() - lookedAt >= (options.everyMs ?? everyMs);
      if (looking || !isDue || underWay.size >= atOnce || signal.aborted) return;
      lookedAt = performance.now();
      looking = start()
        .catch(onError)
        .finally(() => {
          looking = undefined;
        });
    },
    idle: async () => {
      await looking;
      await Promise.all(underWay.values());
    },
  };
}
