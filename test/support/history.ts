// Random histories of a tenant for the convergence tests: an administrator's edits, the shape of rounds, and faults.
import fc from 'fast-check';
import type { Progress } from '../../src/engine/stream.ts';
import type { Simulator, SimulatorOptions, Tenant } from '../../src/simulator/index.ts';
import { type Database, openDatabase } from '../../src/store/database/pool.ts';
import { type DrawnScope, drawnScope } from './scope.ts';
import { interruption, isDeltaRequest } from './system.ts';

export type Edit = { act: (typeof acts)[number]; who: number; property: string; value: string };
export type Expiry = '410' | '400';
export type Weather = Pick<
  SimulatorOptions,
  'pageSize' | 'repeats' | 'emptyPages' | 'shuffle' | 'form' | 'managersApart' | 'formerManagers'
>;
/** Events at the n-th request to users/delta of a cycle. */
export type Moment = { request: number; edits: readonly Edit[]; expire: Expiry | undefined };
/**
 * The end of a cycle: `abort` Ctrl-C at request n · `sockets` cuts every connection from request n on ·
 * `unavailable` answers 503 from request n on · `defect` the code throws at its n-th report of progress ·
 * `kill` the same with the database gone at once, so that nothing can be closed, as when the process dies.
 */
export type Fault = { how: 'abort' | 'sockets' | 'unavailable' | 'defect' | 'kill'; at: number };
export type CycleStep = {
  step: 'cycle';
  weather: Weather;
  resync: boolean;
  dryRun: boolean;
  moments: readonly Moment[];
  /** On each page of users/delta this object has an invalid value. */
  spoilt: number | undefined;
  fault: Fault | undefined;
};
export type Step =
  | { step: 'edits'; edits: readonly Edit[] }
  | { step: 'expire'; how: Expiry }
  /** Ends the retention of all removed accounts. */
  | { step: 'age' }
  | { step: 'revoke' }
  /** Other users count as people from now on. */
  | { step: 'scope'; scope: DrawnScope }
  /** `sync --user` of a user, who may be deleted. */
  | { step: 'person'; who: number }
  | CycleStep;

const acts = [
  'create',
  'update',
  'update',
  'update',
  'clear',
  'disable',
  'delete',
  'purge',
  'restore',
  'touch',
  'kind',
  'licence',
  'manager',
  'manager',
  'unmanage',
] as const;
const kinds = ['agent', 'guest', 'external', 'mailbox', 'room'] as const;
const texts = ['displayName', 'jobTitle', 'department', 'mobilePhone', 'mail', 'city', 'userType'];

const edit: fc.Arbitrary<Edit> = fc.record({
  act: fc.constantFrom(...acts),
  who: fc.nat({ max: 30 }),
  property: fc.constantFrom(...texts, 'businessPhones', 'userPrincipalName'),
  value: fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 6 }),
    fc.constantFrom('', ' ', "O'Brien ? ?? :name $1", '{"a":null}', '\\u0000', '\u2028', 'e\u0301', '👩‍👩‍👧', 'null'),
  ),
});
const edits = fc.array(edit, { minLength: 1, maxLength: 5 });
const expiry = fc.constantFrom<Expiry>('410', '400');

export const weather: fc.Arbitrary<Weather> = fc.record({
  pageSize: fc.integer({ min: 1, max: 6 }),
  repeats: fc.constantFrom(0, 0, 0.3, 1),
  emptyPages: fc.constantFrom(0, 0, 0.5),
  shuffle: fc.boolean(),
  form: fc.constantFrom('default', 'minimal', 'mixed'),
  managersApart: fc.constantFrom(0, 0.5, 1),
  formerManagers: fc.constantFrom(0, 0.5, 1),
});

const moment: fc.Arbitrary<Moment> = fc.record({
  request: fc.integer({ min: 1, max: 6 }),
  edits,
  expire: fc.option(expiry, { nil: undefined, freq: 4 }),
});
const fault: fc.Arbitrary<Fault> = fc.record({
  how: fc.constantFrom('abort', 'sockets', 'unavailable', 'defect', 'kill'),
  at: fc.integer({ min: 1, max: 8 }),
});
const cycle: fc.Arbitrary<CycleStep> = fc.record({
  step: fc.constant('cycle'),
  weather,
  resync: fc.constantFrom(false, false, false, false, true),
  dryRun: fc.constantFrom(false, false, false, false, false, true),
  moments: fc.array(moment, { maxLength: 2 }),
  spoilt: fc.option(fc.nat({ max: 5 }), { nil: undefined, freq: 1 }),
  fault: fc.option(fault, { nil: undefined, freq: 1 }),
});

export const history: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ step: fc.constant('edits' as const), edits }) },
    { weight: 6, arbitrary: cycle },
    { weight: 1, arbitrary: fc.record({ step: fc.constant('expire' as const), how: expiry }) },
    { weight: 1, arbitrary: fc.constantFrom<Step>({ step: 'age' }, { step: 'revoke' }) },
    { weight: 2, arbitrary: fc.record({ step: fc.constant('scope' as const), scope: drawnScope }) },
    { weight: 2, arbitrary: fc.record({ step: fc.constant('person' as const), who: fc.nat({ max: 30 }) }) },
  ),
  { minLength: 2, maxLength: 10 },
);

/** Makes an edit, unless the tenant refuses it (a taken user principal name) or has no user for it. */
export function applyEdit(tenant: Tenant, { act, who, property, value }: Edit): void {
  const live = tenant.users();
  const deleted = tenant.deletedUsers();
  const at = <Item>(list: readonly Item[]) => list[who % Math.max(1, list.length)];
  const person = at(live);
  const leaver = at(deleted);
  try {
    if (act === 'create') tenant.createUser(value === '' ? {} : { displayName: value, jobTitle: null });
    else if (act === 'kind') tenant.createKind(kinds[who % kinds.length] ?? 'agent');
    else if (act === 'restore' && leaver) tenant.restoreUser(leaver.id);
    else if (act === 'purge') tenant.purgeUser((leaver ?? person)?.id ?? '');
    else if (!person) return;
    else if (act === 'delete') tenant.deleteUser(person.id);
    else if (act === 'licence') tenant.setLicence(person.id, `sku${who % 3}`, who % 2 === 0);
    // Loops, and users who manage themselves, too.
    else if (act === 'manager') tenant.setManager(person.id, live[(who * 7 + value.length) % live.length]?.id ?? null);
    else if (act === 'unmanage') tenant.setManager(person.id, null);
    else if (act === 'touch') tenant.touchUser(person.id);
    else if (act === 'disable') tenant.updateUser(person.id, { accountEnabled: !person.properties.accountEnabled });
    else if (act === 'clear') tenant.updateUser(person.id, { [property]: null });
    else if (act === 'update') tenant.updateUser(person.id, { [property]: valueFor(property, value, who) });
  } catch {
    // Refused, as an administrator's edit would be.
  }
}

function valueFor(property: string, value: string, who: number): unknown {
  if (property === 'businessPhones') return value === '' ? [] : [value, String(who)];
  return property === 'userPrincipalName' ? `person${who % 5}@renamed.example` : value;
}

export type Staged = {
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
  /** The pool of the cycle: a separate one if it is to be killed. */
  through: Database;
  reached: () => boolean;
  end: () => Promise<void>;
};

/** Sets the stage for one cycle of a history: weather, moments, fault. `end` undoes all of it. */
export function setStage(
  simulator: Simulator,
  tenant: Tenant,
  step: Pick<CycleStep, 'weather' | 'moments' | 'spoilt' | 'fault'>,
  database: { pool: Database; url: string },
): Staged {
  const { fault: planned } = step;
  const stop = new AbortController();
  const through = planned?.how === 'kill' ? openDatabase(database.url, { maxConnections: 2 }) : database.pool;
  let requests = 0;
  let reports = 0;
  let reached = false;
  Object.assign(simulator.options, step.weather);
  const off = simulator.intercept(({ url }) => {
    if (!isDeltaRequest(url)) return undefined;
    requests += 1;
    for (const one of step.moments) {
      if (one.request !== requests) continue;
      for (const each of one.edits) applyEdit(tenant, each);
      if (one.expire) tenant.expireTokens(one.expire);
    }
    if (!planned || requests < planned.at) return undefined;
    if (planned.how === 'abort') {
      reached = true;
      stop.abort(interruption());
      return { destroy: true };
    }
    if (planned.how !== 'sockets' && planned.how !== 'unavailable') return undefined;
    reached = true;
    return planned.how === 'sockets' ? { destroy: true } : { status: 503, body: {} };
  });
  const clean = simulator.transform((request, body) => {
    const { value } = body as { value?: Record<string, unknown>[] };
    if (step.spoilt === undefined || !isDeltaRequest(request.url) || value === undefined) return body;
    const chosen = step.spoilt % Math.max(1, value.length);
    return {
      ...body,
      value: value.map((one, index) => (index === chosen && !('@removed' in one) ? { ...one, city: 'a\0b' } : one)),
    };
  });
  return {
    signal: stop.signal,
    through,
    reached: () => reached,
    onProgress: ({ phase }) => {
      // A failed listing does not end a cycle; test/system/first-load/convergence.test.ts covers it.
      if (phase === 'list' || phase === 'show') return;
      reports += 1;
      if (!planned || reports !== planned.at || (planned.how !== 'defect' && planned.how !== 'kill')) return;
      reached = true;
      if (planned.how === 'kill') void through.destroy();
      throw new Error('stopped by the test');
    },
    end: async () => {
      off();
      clean();
      if (through !== database.pool) await through.destroy();
    },
  };
}
