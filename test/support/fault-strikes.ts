// What can happen to a request for a page: answers, connections, names and certificates gone wrong.
import dns from 'node:dns';
import { vi } from 'vitest';
import type { Intervention } from '../../src/simulator/index.ts';
import { certificateFor } from './certificates.ts';
import type { World } from './system.ts';

export const rounds = ['full', 'later'] as const;
export const places = ['first', 'middle', 'last'] as const;

/** Where a fault strikes. The first page of a full round is asked for without a token, every other one with one. */
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
  /** Of the request. */
  url: string;
  /** Runs before the first wait whose reason matches: the moment at which the fault is over. */
  untilWait: (reason: RegExp, over: () => unknown) => void;
  /** Runs when the cycle is over. */
  untilEnd: (over: () => unknown) => void;
};

/** An error body of Graph, with a person in its words: what must show nowhere. */
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

/** A request that nobody answers in time; healthy ones need far less. */
export const impatient = { requestTimeoutMs: 1_000, retries: 4 };
export const patient = { retries: 8, firstWaitMs: 4 };

export async function goDown({ world, untilWait, untilEnd }: Strike, forHowLong: 'a wait' | 'the cycle') {
  const up = await world.simulator.goDown();
  if (forHowLong === 'a wait') untilWait(/ECONNREFUSED/, up);
  else untilEnd(up);
  return { destroy: true };
}

/** Names that only this process knows, one for each fault that takes its own away. */
export const ownHosts = ['one.entra-sync.test', 'two.entra-sync.test'] as const;
const lost = new Set<string>();

/** Has this process know the names, until the function that is returned is called. */
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
  // One that was being made when the others were cut.
  untilEnd(world.simulator.intercept(() => (lost.has(hostname) ? { destroy: true } : undefined)));
  if (forHowLong === 'a wait') untilWait(/ENOTFOUND/, found);
  else untilEnd(found);
  return { destroy: true };
}

/** From now on Graph shows a certificate that nobody signed whom this process trusts. */
export async function changeCertificate({ world, untilEnd }: Strike) {
  stranger ??= certificateFor('localhost');
  world.simulator.presentCertificate(await stranger);
  world.simulator.cutConnections();
  untilEnd(() => world.simulator.presentCertificate());
  return { destroy: true };
}
let stranger: ReturnType<typeof certificateFor> | undefined;
