// `doctor`: checks each step from here to the last endpoint, and names cures.
import { styleText } from 'node:util';
import type { Command } from 'commander';
import { isFirstRun, openBasics, openGraphAccess } from '../../app.ts';
import { namesCredential, namesSignIn, ownsTenantId, readSignInCredential } from '../../credentials.ts';
import { type Check, firstExitCode, openChecklist } from '../../engine/checklist.ts';
import { checkInstallation, checkWorker, type DoctorParts } from '../../engine/doctor.ts';
import { type CheckedTenant, checkTenant } from '../../engine/doctor-tenant.ts';
import { readPublicUrl, readTenantId } from '../../environment.ts';
import { describeDefect, ExpectedError } from '../../errors.ts';
import { defaultRetryPolicy } from '../../graph/reader.ts';
import { namesProxy, useProxyOf } from '../../proxy.ts';
import { asGuid } from '../../rules/decode.ts';
import type { Database } from '../../store/database/pool.ts';
import { findTenant, listTenants, type TenantRow } from '../../store/tenants/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { plural } from '../format.ts';
import { onOneLine, withCure } from '../layout.ts';

export function doctorCommand(): Command {
  return verb(
    'doctor',
    'Prove the connection, step by step: database, schema, clock, limits on time, DNS, TLS, token, roles, one read from each endpoint, ' +
      'checkpoints, held removals, credentials. Changes nothing. The exit code is that of the first red line.',
    ['doctor', 'doctor Contoso', `doctor --json | jq '.checks[] | select(.state == "failed")'`],
  )
    .argument(
      '[tenant]',
      'id, name or reference of one tenant, or an id that is not registered; without it all tenants',
    )
    .action((word: string | undefined, options: VerbOptions) =>
      runVerb(options, (run) => doctor(run, word), 'nothing was changed; run the command again'),
    );
}

// Few retries: a long wait is worth a red line here.
const policy = { ...defaultRetryPolicy, retries: 1, budgetMs: 10_000, requestTimeoutMs: 20_000 };

const atOnce = 8;

async function doctor(run: Run, word: string | undefined): Promise<number> {
  const { terminal, environment, signal } = run;
  const { variables } = environment;
  const remark = await useProxyOf(environment);
  if (remark) terminal.note(remark);
  const onDefect = (error: unknown) => terminal.note(`a defect, please report it: ${describeDefect(error)}`);
  // As it stands: it has colours.
  const onCheck = (check: Check) => terminal.print(lineOf(check));
  const parts: DoctorParts = {
    ...openBasics(environment),
    openDatabase: async () =>
      isFirstRun(environment) ? undefined : run.database({ anySchema: true, announced: false }),
    openGraph: () => openGraphAccess(environment, { policy, customerOf: run.customerOf }),
    namesCredential: namesCredential(variables),
    signIn: namesSignIn(variables) ? () => readSignInCredential(variables) : undefined,
    publicUrl: variables.ENTRA_SYNC_PUBLIC_URL ? () => readPublicUrl(variables, undefined, 0) : undefined,
    proxied: namesProxy(variables),
    embedded: environment.databaseUrl === undefined,
    signal,
    now: Date.now,
  };
  const installation = openChecklist(null, { signal, onCheck, onDefect });
  terminal.say('Installation');
  const found = await checkInstallation(parts, installation);
  const checks = [...installation.checks];
  const patients = await patientsOf(run, word, found.schema.value);
  for (let start = 0; start < patients.length; start += atOnce) {
    const some = patients.slice(start, start + atOnce).map((patient) => ({
      patient,
      list: openChecklist({ id: patient.id, name: patient.name }, { signal, onDefect }),
    }));
    await Promise.all(some.map(({ patient, list }) => checkTenant(parts, found, patient, list)));
    for (const { patient, list } of some) {
      const { id, name, row } = patient;
      const known = row || !found.schema.value ? '' : ', not registered';
      terminal.say(`\n${onOneLine(name === id ? id : `${name} (${id})`)}${known}`);
      list.checks.forEach(onCheck);
      checks.push(...list.checks);
    }
  }
  const last = openChecklist(null, { signal, onDefect });
  await checkWorker(parts, found, last);
  if (last.checks.length > 0) terminal.say();
  last.checks.forEach(onCheck);
  checks.push(...last.checks);
  const exitCode = firstExitCode(checks);
  terminal.answer({ checks, exitCode });
  const count = (state: Check['state']) => checks.filter((check) => check.state === state).length;
  const rest = [
    ...(count('warning') > 0 ? [plural(count('warning'), 'warning')] : []),
    ...(count('not_checked') > 0 ? [`${count('not_checked')} not checked`] : []),
  ];
  terminal.say(`\n${[`${count('failed')} of ${plural(checks.length, 'check')} failed`, ...rest].join(', ')}.`);
  return exitCode;
}

/** Returns the tenants to check; without the database, the one named by its id or by AZURE_TENANT_ID. */
async function patientsOf(
  run: Run,
  word: string | undefined,
  database: Database | undefined,
): Promise<CheckedTenant[]> {
  const { variables } = run.environment;
  const unknown = (id: string): CheckedTenant => ({ id, name: id, row: undefined });
  const id = word === undefined ? undefined : asGuid(word);
  if (database) {
    const rows = word === undefined ? await listTenants(database) : await findRows(database, word, id !== undefined);
    if (rows.length > 0) return rows.map((row) => ({ id: row.tenant_id, name: row.name, row }));
  } else if (word !== undefined && id === undefined) {
    throw new ExpectedError('unknown_name', `tenant ${word} cannot be looked up without the database`, {
      cure: 'name it by its id, or fix the database first',
    });
  }
  if (id !== undefined) return [unknown(id)];
  const own = ownTenantId(variables);
  if (own !== undefined) return [unknown(own)];
  run.terminal.note(
    'No tenant was checked: none is registered here -> entra-sync tenant add TENANT --name NAME, or doctor TENANT_ID',
  );
  return [];
}

/** Returns the tenant of `word`; none for an unregistered id. */
async function findRows(database: Database, word: string, isId: boolean): Promise<TenantRow[]> {
  try {
    return [await findTenant(database, word)];
  } catch (error) {
    const absent = error instanceof ExpectedError && ['unknown_name', 'consent_waiting'].includes(error.code);
    if (isId && absent) return [];
    throw error;
  }
}

function ownTenantId(variables: NodeJS.ProcessEnv): string | undefined {
  try {
    return ownsTenantId(variables) ? readTenantId(variables) : undefined;
  } catch {
    // The check of the credential has reported this.
    return undefined;
  }
}

const words = {
  ok: ['✓', 'ok', 'green'],
  warning: ['!', 'warning', 'yellow'],
  failed: ['✗', 'failed', 'red'],
  not_checked: ['–', 'not checked', 'gray'],
} as const;

function lineOf({ check, state, message, cure }: Check): string {
  const [symbol, word, colour] = words[state];
  // NO_COLOR or a pipe drops the colours, so the words say the same.
  const verdict = styleText(colour, `${symbol} ${word.padEnd(11)}`, { stream: process.stdout });
  return withCure(`  ${verdict}  ${check.padEnd(20)} `, onOneLine(message), cure === null ? null : onOneLine(cure));
}
