// The schema of photos: whether they are read, in which size, and how often they are asked for again.
import { z } from 'zod';
import { type Photos, photoSizes } from '../rules/photos.ts';
import { duration, durationMs } from './durations.ts';

export const photosSchema = z
  .strictObject({
    read: z.boolean().meta({ description: 'Whether the photos of accounts are read. false removes what was read.' }),
    size: z.enum(photoSizes).meta({ description: 'The size in pixels that Graph is asked for.' }),
    refreshEvery: duration('1h', '90d', 'How often each photo is asked for again.'),
  })
  .meta({ description: 'Photos of accounts, read beside the cycles.' });

type Written = { [Key in keyof z.infer<typeof photosSchema>]?: z.infer<typeof photosSchema>[Key] | undefined };

/** Resolves the settings of photos. A part that an earlier release did not store has its default. */
export function photosOf({ read = false, size = '240x240', refreshEvery = '24h' }: Written = {}): Photos {
  return { read, size, refreshMs: durationMs(refreshEvery) ?? 86_400_000 };
}
