// The worker reports its waits for the database: at warn after ten seconds, again each minute, and by a gauge at once.
import { expect, test } from 'vitest';
import type { Activity } from '../../src/store/database/activity.ts';
import type { StatementState } from '../../src/store/database/health.ts';
import { openWaitWatch } from '../../src/worker/report-waits.ts';

const none = { tenantId: null, reason: null, pid: null };

function openWatch(ask: (pids: readonly number[]) => StatementState[]) {
  let ms = 0;
  const lines: unknown[] = [];
  const activities: Activity[] = [];
  const ended: { pid: number | null; error: unknown }[] = [];
  const watch = openWaitWatch({
    activities: () => activities,
    ask: async (pids) => ask(pids),
    tell: (wait) => void lines.push(wait),
    giveUp: ({ pid }, error) => void ended.push({ pid, error }),
    now: () => ms,
  });
  return {
    activities,
    watch,
    lines,
    ended,
    after: async (seconds: number) => {
      ms += seconds * 1000;
      await watch.look();
    },
  };
}

const away = () => {
  throw new Error('no answer');
};

test('a wait for a connection is reported after ten seconds with its tenant, and again a minute later', async () => {
  const { activities, lines, after, watch } = openWatch(away);
  activities.push({ ...none, kind: 'connection', since: 0, tenantId: 'T' });
  await after(9);
  expect(lines).toEqual([]);
  expect(watch.longest()).toEqual({ lock: 0, connection: 9, database: 0 });
  await after(1);
  await after(30);
  expect(lines).toEqual([{ tenantId: 'T', kind: 'connection', seconds: 10, reason: expect.any(String) }]);
  await after(30);
  expect(lines).toHaveLength(2);
  activities.pop();
  expect(watch.longest()).toEqual({ lock: 0, connection: 0, database: 0 });
});

test('a long statement is reported if it waits for a lock, but not while it works', async () => {
  const { activities, lines, after, watch } = openWatch((pids) =>
    pids.map((pid) => ({ pid, forLock: pid === 1, blockers: [] })),
  );
  activities.push(
    { ...none, kind: 'statement', since: 0, pid: 1, tenantId: 'T' },
    { ...none, kind: 'statement', since: 0, pid: 2 },
  );
  await after(12);
  expect(lines).toEqual([expect.objectContaining({ tenantId: 'T', kind: 'lock', seconds: 12 })]);
  expect(watch.longest()).toEqual({ lock: 12, connection: 0, database: 0 });
});

test('rule 11: a statement that waits for a lock names the session that holds it, and is given up after 30 seconds', async () => {
  const blocker = {
    pid: 7,
    role: 'crm',
    application: null,
    visible: true,
    transactionMs: 9_000,
    idleMs: 8_000,
    own: false,
  };
  const { activities, lines, ended, after } = openWatch((pids) =>
    pids.map((pid) => ({ pid, forLock: pid === 1, blockers: pid === 1 ? [blocker] : [] })),
  );
  activities.push(
    { ...none, kind: 'statement', since: 0, pid: 1 },
    { ...none, kind: 'statement', since: 0, pid: 2 },
    { ...none, kind: 'lock', since: 0 },
    { ...none, kind: 'connection', since: 0 },
  );
  await after(12);
  expect(lines).toContainEqual(
    expect.objectContaining({
      kind: 'lock',
      reason: expect.stringMatching(/holds a lock: pid 7 \(.*terminate_backend\(7\)/),
    }),
  );
  expect(ended).toEqual([]);
  await after(18);
  expect(ended).toMatchObject([
    { pid: 1, error: { code: 'database_locked', message: expect.stringContaining('pid 7') } },
  ]);
});

test('if the server does not answer either, the wait is for the server', async () => {
  const { activities, lines, after, watch } = openWatch(away);
  activities.push({ ...none, kind: 'statement', since: 0, pid: 1 });
  await after(12);
  expect(lines).toEqual([expect.objectContaining({ kind: 'database' })]);
  expect(watch.longest()).toEqual({ lock: 0, connection: 0, database: 12 });
});

test('a wait that reports its blocker itself is only counted', async () => {
  const { activities, lines, after, watch } = openWatch(away);
  activities.push({ ...none, kind: 'lock', since: 0, reason: 'a wait for a lock' });
  await after(12);
  expect(lines).toEqual([]);
  expect(watch.longest().lock).toBe(12);
});
