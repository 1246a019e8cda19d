// `verify`: does the copy agree with a fresh listing of the tenant?
import { type Command, InvalidArgumentError } from 'commander';
import { openBasics, openGraphAccess } from '../../app.ts';
import { runVerify, type VerifyResult } from '../../engine/verify.ts';
import { exitCodes } from '../../errors.ts';
import { explainGaps } from '../../rules/scope.ts';
import { findTenant, listTenants, type Tenant } from '../../store/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, plural } from '../format.ts';
import { openProgress } from '../progress.ts';
import { table } from '../terminal.ts';

type VerifyOptions = VerbOptions & { sample?: number };

export function verifyCommand(): Command {
  return verb(
    'verify',
    'Compare the copy with a fresh listing of the tenant (not delta), field by field. Changes nothing; exit code 8 when anything differs. ' +
      'Run a cycle first: what was edited since shows as drift.',
    ['verify Contoso', 'verify Contoso --sample 200', 'verify --json | jq ".tenants[].drift"'],
  )
    .argument('[tenant]', 'id, name or reference of one tenant; without it all')
    .option('--sample <n>', 'compare only n accounts and n groups drawn by chance', sampleSize)
    .action((word: string | undefined, options: VerifyOptions) =>
      runVerb(options, (run) => verify(run, word, options.sample)),
    );
}

function sampleSize(text: string): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) < 1)
    throw new InvalidArgumentError('a whole number from 1 to 999999 is needed');
  return Number(text);
}

async function verify(run: Run, word: string | undefined, sample: number | undefined): Promise<number> {
  const { terminal } = run;
  const basics = openBasics(run.environment);
  const graph = openGraphAccess(run.environment);
  const { database } = await run.database();
  const tenants = word === undefined ? await listTenants(database) : [await findTenant(database, word)];
  const done: { tenant: Tenant; result: VerifyResult }[] = [];
  for (const tenant of tenants) {
    const progress = openProgress(terminal);
    try {
      const result = await runVerify(
        { database, ...basics, openReader: graph.openReader },
        { tenantId: tenant.tenant_id, sample, signal: run.signal, onProgress: progress.update },
      );
      done.push({ tenant, result });
    } finally {
      progress.done();
    }
  }
  terminal.answer({
    tenants: done.map(({ tenant, result }) => ({ tenant: { id: tenant.tenant_id, name: tenant.name }, ...result })),
  });
  for (const { tenant, result } of done) sayDrift(run, tenant, result);
  return done.some(({ result }) => result.drift.length > 0) ? exitCodes.drift_found : 0;
}

const shownDrift = 50;
const shownUnread = 10;

function sayDrift({ terminal }: Run, tenant: Tenant, result: VerifyResult): void {
  const { checked, drift, unread, scopeGaps, requests, seconds } = result;
  const compared = `${plural(checked.users, 'user')}, ${plural(checked.groups, 'group')} and ${plural(checked.memberships, 'membership')}`;
  const what = drift.length === 0 ? 'no drift' : plural(drift.length, 'difference');
  terminal.say(`${tenant.name}: ${what} in ${compared} (${plural(requests, 'request')}, ${seconds.toFixed(1)} s)`);
  if (scopeGaps.length > 0) {
    const { what, cure } = explainGaps(scopeGaps);
    terminal.say(`${tenant.name}: ${what}, so removals are held and not counted as drift -> ${cure}`);
  }
  if (unread.length > 0) {
    terminal.say(
      `${tenant.name}: ${plural(unread.length, 'object')} could not be read and was left out of the comparison:`,
    );
    for (const { stream, object_key: key, reason } of unread.slice(0, shownUnread))
      terminal.say(`  ${stream} ${key}: ${reason}`);
    if (unread.length > shownUnread)
      terminal.say(`  … and ${count(unread.length - shownUnread)} more (--json shows them)`);
  }
  if (drift.length === 0) return;
  const show = (value: unknown) =>
    value === null || value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  terminal.say(
    table(
      [
        { title: 'what' },
        { title: 'kind' },
        { title: 'object' },
        { title: 'member or field' },
        { title: 'stored' },
        { title: 'fresh' },
      ],
      drift
        .slice(0, shownDrift)
        .map((one) => [
          one.what,
          one.kind,
          one.entra_object_id,
          one.member_object_id ?? one.field ?? '',
          show(one.stored),
          show(one.fresh),
        ]),
    ),
  );
  if (drift.length > shownDrift) terminal.say(`… and ${count(drift.length - shownDrift)} more (--json shows them)`);
}
