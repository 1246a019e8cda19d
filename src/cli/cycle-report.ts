// The report of a command's cycles: a table with a line per stream, and notes about each tenant.

import type { CycleResult } from '../engine/cycle.ts';
import type { FirstLoad } from '../engine/reports.ts';
import { changesOf } from '../rules/counts.ts';
import { explainGaps } from '../rules/scope.ts';
import { commandWord } from '../rules/shell.ts';
import type { StreamReport } from '../store/cycle/cycles.ts';
import { describeDatabaseError } from '../store/database/pool.ts';
import type { Tenant } from '../store/tenants/tenants.ts';
import { describeNotice } from '../words/trouble.ts';
import type { Run } from './command.ts';
import { count, duration, plural, when } from './format.ts';
import { table } from './layout.ts';
import { describeOlderRounds } from './not-shown.ts';
import { sampleTable, shownChanges } from './samples.ts';
import { failureJson, sayNotTried } from './several.ts';
import { showError } from './terminal.ts';

type Done = { readonly tenant: Tenant; readonly result: CycleResult };

type Cycles = {
  readonly done: readonly Done[];
  readonly failed: readonly { tenant: Tenant; error: unknown }[];
  readonly notTried: readonly Tenant[];
  /** Only cycles that changed something or need a person are printed. */
  readonly quiet: boolean;
};

/** Prints the report of cycles; with `--json` all of them as one answer. */
export function reportCycles(run: Run, { done: all, failed, notTried, quiet }: Cycles): void {
  const { terminal } = run;
  terminal.answer({
    cycles: all.flatMap(({ tenant, result: { firstLoad, sinceMs, ...cycle } }) =>
      [...(firstLoad ? [firstLoad] : []), cycle].map((one) => ({
        tenant: { id: tenant.tenant_id, name: tenant.name },
        ...one,
        failures: one.failures.map(({ stream, error }) => ({ stream, ...failureJson(error) })),
        ...('unfinished' in one && {
          unfinished: one.unfinished.map(({ stream, error }) => ({ stream, ...failureJson(error) })),
        }),
      })),
    ),
    failures: failed.map(({ tenant, error }) => ({
      tenant: { id: tenant.tenant_id, name: tenant.name },
      ...failureJson(error),
    })),
    ...(notTried.length > 0 && { not_tried: notTried.map(({ tenant_id: id, name }) => ({ id, name })) }),
  });
  sayNotTried(terminal, notTried.length);
  const done = quiet ? all.filter(({ result }) => isWorthTelling(result)) : all;
  if (done.length > 0) terminal.say(cycleTable(done));
  for (const { tenant, result } of done) {
    const why = explainQuiet(result);
    if (why) terminal.say(`${tenant.name}: ${why}`);
    const aside = Object.values(result.streams).reduce((sum, one) => sum + one.set_aside, 0);
    if (aside > 0)
      terminal.say(`${tenant.name}: ${plural(aside, 'object')} set aside, see entra-sync status --set-aside`);
    const { held, outside, notice, scope_gaps: gaps = [] } = result.streams.users;
    if (notice !== undefined) terminal.note(`${tenant.name}: ${describeNotice({ notice, name: tenant.name })}`);
    if (outside) terminal.say(`${tenant.name}: ${describeOutside(outside)}`);
    const { not_copied: notCopied = 0 } = result.streams.groups;
    if (notCopied > 0) terminal.say(`${tenant.name}: ${describeNotCopied(notCopied)}`);
    if (gaps.length > 0) {
      const { what, cure } = explainGaps(gaps);
      const because = held > 0 ? `${plural(held, 'removal')} held, because ` : '';
      terminal.note(`${tenant.name}: ${because}${what} -> ${cure}`);
    }
    sayHeld(run, tenant, result);
    const { users, groups } = result.streams;
    const older = describeOlderRounds({ users: beganCommitted(users), groups: beganCommitted(groups) });
    if (older) terminal.note(`${tenant.name}: ${older} -> entra-sync sync ${commandWord(tenant.name)}`);
    for (const { stream, error } of result.firstLoad?.failures ?? []) {
      const { message } = failureJson(error);
      terminal.note(
        `${tenant.name}: ${stream} could not be listed quickly and were read by the first round (${message})`,
      );
    }
    for (const { stream, error } of result.unfinished) {
      const { message } = failureJson(error);
      terminal.note(
        `${tenant.name}: the full round of ${stream} is not finished (${message}); changes were committed beside it, and the next cycle resumes it`,
      );
    }
    for (const { stream, error } of result.failures) {
      showError({ ...terminal, answer: () => {} }, describeDatabaseError(error), `${tenant.name}, ${stream}: `);
    }
    if (result.outcome === 'dry_run') sayDryRun(run, result);
  }
}

/** Returns how many groups are not copied, in words. */
export function describeNotCopied(groups: number): string {
  return `${plural(groups, 'group')} not copied (groups.only, groups.except): ids and members are kept, no names`;
}

/** Returns how many users each condition keeps outside the scope, in words. */
export function describeOutside(outside: Readonly<Record<string, number>>): string {
  const entries = Object.entries(outside);
  const all = entries.reduce((sum, [, number]) => sum + number, 0);
  return `${plural(all, 'user')} outside the scope: ${entries.map(([name, number]) => `${count(number)} by ${name}`).join(', ')}`;
}

function beganCommitted({ outcome, begun_at: begun }: StreamReport): string | undefined {
  return outcome === 'committed' ? begun : undefined;
}

/** Returns whether a cycle changed something, failed in part, or waits for a person. */
function isWorthTelling(result: CycleResult): boolean {
  const { firstLoad, failures, unfinished, streams } = result;
  const reports = [...Object.values(streams), ...Object.values(firstLoad?.streams ?? {})];
  return (
    failures.length + unfinished.length + (firstLoad?.failures.length ?? 0) > 0 ||
    reports.some((one) => changesOf(one) > 0 || (one.scope_gaps ?? []).length > 0) ||
    hasHeld(result)
  );
}

/** Returns whether removals of the tenant are held, or would be. */
export function hasHeld({ lists, streams }: CycleResult): boolean {
  return lists.length + streams.users.held + streams.groups.held > 0;
}

function sayHeld({ terminal }: Run, tenant: Tenant, { lists, outcome, streams }: CycleResult): void {
  for (const list of lists) {
    terminal.note(
      `${tenant.name}: ${plural(list.held, 'removal')} of ${list.stream} held in list ${list.list_id}, opened ${when(list.opened_at)}, because ${list.why} -> entra-sync removals list ${commandWord(tenant.name)}`,
    );
  }
  const heldInDryRun = streams.users.held + streams.groups.held;
  if (outcome === 'dry_run' && heldInDryRun > 0)
    terminal.note(`${tenant.name}: ${plural(heldInDryRun, 'removal')} would be held for a person's decision`);
}

type CycleSummary = Pick<CycleResult, 'kind' | 'outcome' | 'seconds'> & Pick<FirstLoad, 'streams'>;

/** Returns the cycles as a table with a line per stream; a first load comes before its rounds. */
export function cycleTable(
  done: readonly { tenant: Tenant; result: CycleSummary & { firstLoad?: CycleSummary | undefined } }[],
  indent = 0,
): string {
  const cycles = done.flatMap(({ tenant, result }) =>
    (result.firstLoad ? [result.firstLoad, result] : [result]).map((cycle) => ({ tenant, cycle })),
  );
  const reports = cycles.flatMap(({ cycle }) => Object.values(cycle.streams));
  // Rare: columns only if they have values.
  const rare = (['adopted', 'held'] as const).filter((name) => reports.some((one) => one[name] > 0));
  return table(
    [
      { title: 'tenant', long: true },
      { title: 'cycle' },
      { title: 'stream' },
      { title: 'round' },
      { title: 'requests', right: true },
      { title: 'seen', right: true },
      { title: 'created', right: true },
      { title: 'updated', right: true },
      { title: 'suspended', right: true },
      { title: 'removed', right: true },
      { title: 'restored', right: true },
      ...rare.map((title) => ({ title, right: true })),
      { title: 'members', right: true },
      { title: 'seconds', right: true },
    ],
    cycles.flatMap(({ tenant, cycle }) =>
      Object.entries(cycle.streams).map(([stream, one]) => [
        tenant.name,
        cycle.outcome === 'dry_run' ? `${cycle.kind} (dry run)` : cycle.kind,
        stream,
        one.outcome === 'failed'
          ? `failed, ${one.reason.replaceAll('_', ' ')}`
          : `${one.round}, ${one.reason.replaceAll('_', ' ')}`,
        count(one.requests),
        count(one.seen),
        count(one.created),
        count(one.updated),
        one.suspended + one.resumed === 0 ? '0' : `+${count(one.suspended)} -${count(one.resumed)}`,
        count(one.removed),
        count(one.restored),
        ...rare.map((name) => count(one[name])),
        one.memberships_added + one.memberships_removed === 0
          ? '0'
          : `+${count(one.memberships_added)} -${count(one.memberships_removed)}`,
        cycle.seconds.toFixed(1),
      ]),
    ),
    { indent },
  );
}

/** Rule 21: "0 changes" says why. */
function explainQuiet(result: CycleResult): string | undefined {
  const all = Object.values(result.streams);
  const sum = (count: (one: StreamReport) => number) => all.reduce((total, one) => total + count(one), 0);
  if (result.failures.length > 0 || hasHeld(result) || sum(changesOf) > 0) return undefined;
  // The first load before this round had the changes.
  if (result.firstLoad && Object.values(result.firstLoad.streams).some((one) => changesOf(one) > 0)) return undefined;
  if (sum((one) => one.seen) > 0) {
    return `no changes: Graph returned ${plural(
      sum((one) => one.distinct),
      'object',
    )}, none differs from what is stored`;
  }
  return result.sinceMs !== undefined && all.every((one) => one.round === 'incremental')
    ? `no changes: Graph reported none since the last cycle, ${duration(result.sinceMs / 1000)} ago`
    : 'no changes: Graph returned an empty directory';
}

function sayDryRun(run: Run, result: CycleResult): void {
  const { terminal } = run;
  terminal.say('Dry run: nothing was stored, and no checkpoint moved.');
  if (result.sample.length === 0) return;
  const total = Object.values(result.streams).reduce((sum, one) => sum + changesOf(one), 0);
  terminal.say(sampleTable(result.sample, 'would be'));
  if (total > shownChanges)
    terminal.say(`… and ${count(total - shownChanges)} more (--json shows up to 1,000 of each stream)`);
}
