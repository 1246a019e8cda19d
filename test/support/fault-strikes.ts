// The faults of a request for a page: wrong answers, connections, names and certificates.
import dns from 'node:dns';
import { vi } from 'vitest';
import type { Intervention } from '../../src/simulator/index.ts';
import { certificateFor } from './certificates.ts';
import type { World } from './system.ts';

export const rounds = ['full', 'later'] as const;
export const places = ['first', 'middle', 'last'] as const;

/** The place where a fault strikes. Only the first page of a full round is requested without a token. */
export type At = {
  stream: 'users' | 'groups';
  round: (typeof rounds)[number];
  place: (typeof places)[number];
};

export type Strike = {
  world: World;
  at: At;
  /** 1 for the first request that it strikes. */
  hit: number;
  url: string;
  /** Runs before the first wait whose reason matches; the fault ends there. */
  untilWait: (reason: RegExp, over: () => unknown) => void;
  untilEnd: (over: () => unknown) => void;
};

/** An error body of Graph that contains a user's name and address, which no log may show. */
export function refusal(status: number, code: string, headers?: Record<string, string>) {
  return ({ world }: Strike): Intervention => {
    const [user] = world.tenant.users();
    const message = `${user?.properties.displayName} <${user?.properties.mail}>: ${code}`;
    const body = { error: { code, message, innerError: { code: message, 'request-id': message } } };
    return { status, body, ...(headers && { headers }) };
  };
}

export const always = (intervention: Intervention) => () => intervention;
export const location = (strike: Strike): Intervention =>
  refusal(410, 'syncStateNotFound', {
    Location: `${strike.world.simulator.origin}/v1.0/${strike.at.stream}/delta?$deltatoken=`,
  })(strike);

/** For requests that time out; healthy ones need far less. */
export const impatient = { requestTimeoutMs: 1_000, retries: 4 };
export const patient = { retries: 8, firstWaitMs: 4 };

export async function goDown({ world, untilWait, untilEnd }: Strike, forHowLong: 'a wait' | 'the cycle') {
  const up = await world.simulator.goDown();
  if (forHowLong === 'a wait') untilWait(/ECONNREFUSED/, up);
  else untilEnd(up);
  return { destroy: true };
}

/** Names that only this process resolves, one for each fault that loses its name. */
export const ownHosts = ['one.entra-sync.test', 'two.entra-sync.test'] as const;
const lost = new Set<string>();

/** Makes this process resolve the names. Returns the function that ends it. */
export function knowOwnHosts(): () => void {
  const { lookup } = dns;
  const spy = vi.spyOn(dns, 'lookup').mockImplementation(((host: string, ...rest: unknown[]) => {
    const answer = rest.at(-1) as (error: Error) => void;
    if (lost.has(host)) return answer(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }));
    return (lookup as (...all: unknown[]) => void)(ownHosts.some((own) => own === host) ? '127.0.0.1' : host, ...rest);
  }) as typeof dns.lookup);
  return () => spy.mockRestore();
}

export function loseName({ world, untilWait, untilEnd }: Strike, forHowLong: 'a wait' | 'the cycle') {
  const { hostname } = new URL(world.simulator.origin);
  const found = () => lost.delete(hostname);
  lost.add(hostname);
  world.simulator.cutConnections();
  // A connection that was opening when the others were cut.
  untilEnd(world.simulator.intercept(() => (lost.has(hostname) ? { destroy: true } : undefined)));
  if (forHowLong === 'a wait') untilWait(/ENOTFOUND/, found);
  else untilEnd(found);
  return { destroy: true };
}

/** Makes Graph present a certificate that this process does not trust. */
export async function changeCertificate({ world, untilEnd }: Strike) {
  stranger ??= certificateFor('localhost');
  world.simulator.presentCertificate(await stranger);
  world.simulator.cutConnections();
  untilEnd(() => world.simulator.presentCertificate());
  return { destroy: true };
}
let stranger: ReturnType<typeof certificateFor> | undefined;
