// Whole outages of what a cycle rests on, taken from public reports: states of the database server, put on the role of one
// lane for a while, and sign-ins that are refused. While one lasts a tenant may fall behind; when it is lifted the count begins.
import type { Intervention } from '../../src/simulator/index.ts';
import { rows } from '../../src/store/database/pool.ts';
import { unfolds } from './odd-days.ts';
import type { Struck } from './odd-strikes.ts';

export type Outage = {
  readonly name: string;
  /** Exit codes that it may lead to beside 0. */
  readonly codes: readonly number[];
  /** The line of a command that ends with one of them. */
  readonly says?: RegExp;
  /** Whether the database is at fault, so that no failure is counted against the tenant. */
  readonly ofDatabase?: true;
  begin(at: Struck & { readonly role: string }): Promise<() => Promise<void>>;
};

/** Names of roles and databases of the test's own making. */
const plain = (name: string) => `"${name.replaceAll('"', '')}"`;

/** Run once for each database, before a role is used. The setting `odd.state` then raises that error. */
export const oddErrors = `
create function public.odd_state() returns trigger language plpgsql as $$ begin
  if current_setting('odd.state', true) ~ '^[0-9A-Z]{5}$' then
    raise exception 'odd' using errcode = current_setting('odd.state');
  end if;
  return null;
end $$;
create function public.odd_value() returns trigger language plpgsql as $$ begin
  if new::text like '%Poison%' then raise exception 'odd' using errcode = '54000'; end if;
  return new;
end $$;
create trigger odd_state before insert or update on entra_sync.accounts execute function public.odd_state();
create trigger odd_state before insert or update on entra_sync.checkpoints execute function public.odd_state();
create trigger odd_state before insert or update on entra_sync.rounds execute function public.odd_state();
create trigger odd_value before insert or update on entra_sync.accounts for each row execute function public.odd_value();`;

/** Sets this for the role, in this database and for new connections alone. */
function ofServer(name: string, settings: Readonly<Record<string, string>>, codes: readonly number[] = [7]): Outage {
  return {
    name: `8: ${name}`,
    codes,
    ofDatabase: true,
    async begin({ database, role }) {
      const [{ here } = { here: '' }] = await rows<{ here: string }>(database, 'select current_database() as here');
      const known = await rows<{ name: string }>(database, 'select name from pg_settings');
      const alter = `alter role ${plain(role)} in database ${plain(here)}`;
      // Postgres 15 and 16 have no transaction_timeout.
      for (const [setting, value] of Object.entries(settings))
        if (setting.includes('.') || known.some((one) => one.name === setting))
          await database.raw(`${alter} set ${setting} = '${value}'`);
      return async () => void (await database.raw(`${alter} reset all`));
    },
  };
}

/** Changes the role itself, until `back` changes it back. */
function ofRole(name: string, change: string, back: string): Outage {
  return {
    name: `8: ${name}`,
    codes: [7],
    ofDatabase: true,
    async begin({ database, role }) {
      await database.raw(`alter role ${plain(role)} ${change}`);
      return async () => void (await database.raw(`alter role ${plain(role)} ${back}`));
    },
  };
}

const aadsts = (number: number, error = 'unauthorized_client', status = 400): Intervention => ({
  status,
  body: { error, error_description: `AADSTS${number}: no. Trace ID: 0`, error_codes: [number] },
});

/** Gives so many sign-ins of the tenant this answer. */
function ofSignIn(
  name: string,
  answer: () => Intervention,
  { times = 1_000, says = /AADSTS|sign/ }: { times?: number; says?: RegExp } = {},
): Outage {
  return {
    name: `10: ${name}`,
    codes: [3, 5],
    says,
    async begin({ simulator, tenant }) {
      let left = times;
      const end = simulator.intercept(({ url, tenantId }) => {
        if (tenantId !== tenant.tenantId || !url.includes('/oauth2/') || left === 0) return undefined;
        left -= 1;
        return answer();
      });
      return async () => end();
    },
  };
}

/** The outages of which public reports tell; the number is the case's. */
export const outages: readonly Outage[] = [
  ofServer('statement_timeout of 40 ms', { statement_timeout: '40ms' }),
  ofServer('statement_timeout of 8 ms', { statement_timeout: '8ms' }),
  ofServer('transaction_timeout of 60 ms', { transaction_timeout: '60ms' }),
  ofServer('lock_timeout of 1 ms', { lock_timeout: '1ms' }),
  ofServer('no idling in transactions', { idle_in_transaction_session_timeout: '2ms' }),
  ofServer('no idle sessions', { idle_session_timeout: '2ms' }),
  ofServer('read only', { default_transaction_read_only: 'on' }),
  ofServer('no temporary files', { temp_file_limit: '0', work_mem: '64kB' }),
  ofServer('serializable transactions', { default_transaction_isolation: 'serializable' }),
  ofServer('a full disk', { 'odd.state': '53100' }),
  ofServer('no memory left', { 'odd.state': '53200' }),
  ofServer('files that cannot be read', { 'odd.state': '58030' }),
  ofRole('no connections left', 'connection limit 0', 'connection limit -1'),
  ofRole('one connection left', 'connection limit 1', 'connection limit -1'),
  ofRole('a role that may not log in', 'nologin', 'login'),
  ofSignIn('the application is not known yet (7000229)', () => aadsts(7_000_229), { times: 2 }),
  ofSignIn('another cloud (900382)', () => aadsts(900_382, 'invalid_request'), { says: /ENTRA_SYNC_CLOUD/ }),
  ofSignIn('blocked by Conditional Access (53003)', () => aadsts(53_003, 'access_denied'), {
    says: /Conditional Access/,
  }),
  ofSignIn('a number that is in no table', () => aadsts(987_654, 'invalid_client', 401), { says: /AADSTS987654/ }),
  ofSignIn('a passing fault (90033)', () => aadsts(90_033, 'temporarily_unavailable', 503), { times: 2 }),
  ofSignIn('a secret that is refused (7000215)', () => aadsts(7_000_215, 'invalid_client', 401)),
  ofSignIn('an answer that unfolds to a gigabyte', unfolds),
];
