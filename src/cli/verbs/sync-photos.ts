// `sync --photos`: reads the photos that are due now, beside the cycles.
import { openBasics } from '../../app.ts';
import { type PhotosReport, runPhotos } from '../../engine/photos.ts';
import { ExpectedError, exitCodeOf } from '../../errors.ts';
import { describeDatabaseError, tellDatabaseError } from '../../store/database/pool.ts';
import { claimMs } from '../../store/photos/lanes.ts';
import { readPhotoStates } from '../../store/photos/state.ts';
import { findTenant, listTenants, type Tenant } from '../../store/tenants/tenants.ts';
import { openGraph, type Run } from '../command.ts';
import { count, duration, nameWithId } from '../format.ts';
import { table } from '../layout.ts';
import { failureJson, noTenant, sayNotTried, stopsAll, worstExitCode } from '../several.ts';
import { showError, type Terminal } from '../terminal.ts';

type Done = { readonly tenant: Tenant; readonly report: PhotosReport };

/** Reads the photos of one tenant, or of all that read photos, and prints what came. */
export async function syncPhotos(run: Run, word: string | undefined, quiet: boolean): Promise<number> {
  const { log, defaults } = openBasics(run.environment);
  const terminal: Terminal = quiet ? { ...run.terminal, note: () => {} } : run.terminal;
  const graph = await openGraph({ ...run, terminal });
  const { database } = await run.database(quiet ? { announced: false, onLockWait: () => {} } : {});
  const tenants = await tenantsWithPhotos(database, word);
  const done: Done[] = [];
  const failed: { tenant: Tenant; error: unknown }[] = [];
  for (const [index, tenant] of tenants.entries()) {
    try {
      const report = await runPhotos(
        { database, defaults, log, openReader: graph.openReader },
        {
          tenantId: tenant.tenant_id,
          signal: run.signal,
          // The claim of a process that died ends within this.
          patienceMs: claimMs + 5_000,
          onWait: (leftMs) =>
            terminal.note(
              `${tenant.name}: another process reads its photos, or did until it ended; waiting for it, ${Math.ceil(leftMs / 1000)} s at most`,
            ),
          onProgress: progressOf(terminal, tenant),
        },
      );
      if (!report) throw busy(tenant);
      done.push({ tenant, report });
    } catch (error) {
      if (tenants.length === 1 || run.signal.aborted) throw error;
      const described = await tellDatabaseError(database, error);
      failed.push({ tenant, error: described });
      showError({ ...terminal, answer: () => {} }, described, `${nameWithId(tenant.name, tenant.tenant_id)}: `);
      if (stopsAll([described])) {
        sayNotTried(terminal, tenants.length - index - 1);
        break;
      }
    }
  }
  say(run.terminal, done, failed, quiet);
  return worstExitCode(failed.map(({ error }) => exitCodeOf(describeDatabaseError(error))));
}

/** The named tenant, or all that are connected and read photos, or have photos that they read no more. */
async function tenantsWithPhotos(
  database: Parameters<typeof listTenants>[0],
  word: string | undefined,
): Promise<Tenant[]> {
  const known = word === undefined ? await listTenants(database) : [await findTenant(database, word)];
  if (known.length === 0) throw noTenant();
  const states = new Set((await readPhotoStates(database, null)).map((one) => one.tenant_id));
  const found = known.filter((one) => states.has(one.tenant_id));
  const connected = found.filter((one) => one.status !== 'disconnected' && (word !== undefined || !one.paused));
  const [first] = found;
  if (connected.length === 0 && first && word !== undefined) {
    throw new ExpectedError(
      'tenant_disconnected',
      `tenant ${first.name} is disconnected: its photos stay as they are`,
      {
        cure: 'entra-sync tenant reconnect TENANT',
      },
    );
  }
  if (connected.length > 0) return connected;
  const of = word === undefined ? 'of no tenant' : `not of ${known[0]?.name}`;
  throw new ExpectedError('usage', `photos are read ${of}: photos.read is false`, {
    cure: 'set photos: { read: true } with entra-sync settings apply FILE, or entra-sync tenant set TENANT FILE for one tenant',
  });
}

function busy(tenant: Tenant): ExpectedError {
  return new ExpectedError('cycle_running', `the photos of ${tenant.name} are being read by another process`, {
    cure: 'nothing to do: it reads what is due',
  });
}

const tellEveryMs = 5_000;

// A pass takes minutes for many people: a line every few seconds.
function progressOf(terminal: Terminal, tenant: Tenant): (report: PhotosReport) => void {
  let toldAt = performance.now();
  return ({ asked, left, photos, seconds }) => {
    if (performance.now() - toldAt < tellEveryMs) return;
    toldAt = performance.now();
    const speed = seconds > 0 ? `, ${count(Math.round(asked / seconds))}/s` : '';
    terminal.note(
      `${tenant.name}: ${count(asked)} of ${count(asked + left)} asked for, ${count(photos)} photos${speed}`,
    );
  };
}

function say(
  terminal: Terminal,
  done: readonly Done[],
  failed: readonly { tenant: Tenant; error: unknown }[],
  quiet: boolean,
): void {
  terminal.answer({
    photos: done.map(({ tenant, report }) => ({ tenant: { id: tenant.tenant_id, name: tenant.name }, ...report })),
    failures: failed.map(({ tenant, error }) => ({
      tenant: { id: tenant.tenant_id, name: tenant.name },
      ...failureJson(error),
    })),
  });
  const told = quiet ? done.filter(({ report }) => report.changed + report.removed + report.faults > 0) : done;
  if (told.length === 0) return;
  terminal.say(
    table(
      [
        { title: 'tenant', long: true },
        ...['asked for', 'photos', 'without one', 'set aside', 'changed', 'removed', 'requests'].map((title) => ({
          title,
          right: true,
        })),
        { title: 'took', right: true },
      ],
      told.map(({ tenant, report }) => [
        tenant.name,
        ...[report.asked, report.photos, report.none, report.faults, report.changed, report.removed].map(count),
        count(report.requests),
        duration(report.seconds),
      ]),
    ),
  );
  if (told.every(({ report }) => report.asked + report.removed === 0)) terminal.note('no photo was due');
  if (told.some(({ report }) => report.faults > 0))
    terminal.note('photos set aside: entra-sync explain ACCOUNT says why');
}
