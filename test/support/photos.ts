// Photos for tests: passes of the lane against the simulated tenant, and what is stored of them.
import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { openGraphAccess } from '../../src/app.ts';
import { type PhotosOptions, type PhotosReport, runPhotos } from '../../src/engine/photos.ts';
import { readEnvironment } from '../../src/environment.ts';
import type { RetryPolicy } from '../../src/graph/reader.ts';
import { loadDefaults, type SettingsDocument } from '../../src/settings/settings.ts';
import type { PhotoFault, Tenant } from '../../src/simulator/index.ts';
import { type Database, rows } from '../../src/store/database/pool.ts';
import { setSettings } from './settings.ts';
import { fastPolicy, trust, type World } from './system.ts';

type PhotoWishes = Partial<Omit<PhotosOptions, 'tenantId'>> & { policy?: RetryPolicy; through?: Database };

/** Runs one pass, without the limit of requests unless a test gives one. */
export async function passOf(
  { simulator, tenant, database }: Pick<World, 'simulator' | 'tenant' | 'database'>,
  { policy = fastPolicy, through = database, ...wishes }: PhotoWishes = {},
): Promise<PhotosReport | undefined> {
  trust(simulator.certificate);
  const { openReader } = openGraphAccess(readEnvironment(simulator.environment(tenant.tenantId)), { policy });
  return runPhotos(
    { database: through, defaults: loadDefaults(), log: pino({ level: 'silent' }), openReader },
    {
      tenantId: tenant.tenantId,
      perSecond: Number.POSITIVE_INFINITY,
      ...wishes,
      signal: wishes.signal ?? new AbortController().signal,
    },
  );
}

/** Sets the settings of photos for all tenants. */
export async function readPhotosIn(
  database: Database,
  photos: NonNullable<SettingsDocument['photos']> = {},
): Promise<void> {
  await setSettings(database, { photos: { read: true, ...photos } });
}

/** Makes every photo due. */
export async function makeDue(database: Database): Promise<void> {
  await rows(database, "update entra_sync.photos set read_at = read_at - interval '100 days'");
}

/** The photos that applications see, by object id, and whether size and hash are those of the bytes. */
export async function photosSeen(database: Database, tenantId: string): Promise<Record<string, string>> {
  const found = await rows<{ id: string; sha256: string; content: Buffer; size: number; content_type: string }>(
    database,
    `select a.entra_object_id as id, p.sha256, p.content, p.size, p.content_type
       from directory.photos p join entra_sync.accounts a using (account_id) where p.tenant_id = :tenantId order by 1`,
    { tenantId },
  );
  return Object.fromEntries(
    found.map(({ id, sha256, content, size, content_type: type }) => {
      if (hashOf(content) !== sha256 || content.length !== size) throw new Error(`hash or size of ${id} is wrong`);
      return [id, `${type} ${sha256}`];
    }),
  );
}

/** The photos that the tenant has, less those of these users. */
export function photosOf(tenant: Tenant, width = 240, without: readonly string[] = []): Record<string, string> {
  const found = tenant.users().flatMap(({ id }) => {
    const photo = without.includes(id) ? undefined : tenant.photo(id, width);
    return photo ? [[id, `${photo.contentType} ${hashOf(photo.bytes)}`] as const] : [];
  });
  return Object.fromEntries(found.sort(([one], [other]) => (one < other ? -1 : 1)));
}

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** The change rows of photos in their order: whether there was one, and whether there is one. */
export async function photoChanges(
  database: Database,
): Promise<{ account_id: string; before: unknown; after: unknown }[]> {
  return rows(
    database,
    `select account_id, before, after from directory.changes where kind = 'account.photo_changed' order by change_id`,
  );
}

/** How often each user's photo was asked for since `clearRequests`. */
export function photoRequests({ simulator }: Pick<World, 'simulator'>): Map<string, number> {
  const asked = new Map<string, number>();
  for (const { path } of simulator.requests) {
    const id = /\/users\/([^/]+)\/photos\//.exec(path)?.[1];
    if (id) asked.set(id, (asked.get(id) ?? 0) + 1);
  }
  return asked;
}

/** Why photos are set aside, by object id. */
export async function photoFaults(database: Database): Promise<Record<string, string>> {
  const found = await rows<{ id: string; reason: string }>(
    database,
    `select a.entra_object_id as id, f.reason from entra_sync.photo_faults f
       join entra_sync.accounts a using (account_id) order by 1`,
  );
  return Object.fromEntries(found.map(({ id, reason }) => [id, reason]));
}

/** Each kind of fault for another user, and the reason that is kept of it. */
export const faultReasons: Readonly<Record<Exclude<PhotoFault['as'], 'throttled'>, RegExp>> = {
  cut: /no picture, or a damaged one|cut off/,
  noise: /no picture, or a damaged one/,
  gif: /neither a JPEG nor a PNG \(gif\)/,
  large: /larger than 2 MiB/,
  json: /holds no picture/,
  empty: /holds no picture/,
  refused: /refused it \(403\)/,
  failing: /did not give it \(503\)/,
};
