// Graph's faults: each strikes the request for a page and has an expected outcome.
import type { ErrorCode } from '../../src/errors.ts';
import type { RetryPolicy } from '../../src/graph/reader.ts';
import { type Intervention, throttled } from '../../src/simulator/index.ts';
import {
  type At,
  always,
  changeCertificate,
  goDown,
  impatient,
  location,
  loseName,
  ownHosts,
  patient,
  refusal,
  type Strike,
} from './fault-strikes.ts';

export type Outcome =
  /** The same cycle commits the round: the request is sent again after this many waits (`atLeastMs` each). */
  | { heals: 'asked_again'; waits: number; atLeastMs?: number }
  /** The same cycle commits: the round restarts, or a full round replaces it. */
  | { heals: 'round_restarted' | 'full_round' }
  /** The stream's cycle fails with this error and changes nothing of the stream; the next cycle heals. */
  | { fails: ErrorCode };

export type Fault = {
  name: string;
  strike?: (strike: Strike) => Intervention | Promise<Intervention | undefined> | undefined;
  link?: (strike: Strike) => string;
  /** The number of requests that it strikes; default: all of the cycle. */
  times?: number;
  both?: true;
  /** The host name of Graph; default: localhost. */
  host?: string;
  policy?: Partial<RetryPolicy>;
  outcome: (at: At) => Outcome;
};

const onLink = (at: At) => !(at.round === 'full' && at.place === 'first');
const askedAgain =
  (waits = 1, atLeastMs = 0): Fault['outcome'] =>
  () => ({ heals: 'asked_again', waits, atLeastMs });
const fails =
  (code: ErrorCode): Fault['outcome'] =>
  () => ({ fails: code });
/** A dead link: the first URL cannot restart, a checkpoint starts a full round, any other link restarts its round. */
const dead =
  (withoutLink: ErrorCode): Fault['outcome'] =>
  (at) =>
    onLink(at) ? { heals: at.place === 'first' ? 'full_round' : 'round_restarted' } : { fails: withoutLink };
const deadAgain =
  (withoutLink: ErrorCode): Fault['outcome'] =>
  (at) => ({ fails: at.place === 'first' ? withoutLink : 'graph_answer_invalid' });

const unauthorized = refusal(401, 'InvalidAuthenticationToken');
const down = refusal(503, 'serviceNotAvailable');
const noDelta: Intervention = {
  status: 400,
  body: {
    error: {
      code: 'Request_UnsupportedQuery',
      message: 'Change enumeration is not supported for requested tenant.',
    },
  },
};

/** All faults, the slow ones first. */
export const faults: readonly Fault[] = [
  {
    name: 'no answer, again and again',
    strike: always({ hang: true }),
    policy: { ...impatient, retries: 1 },
    outcome: fails('graph_unavailable'),
  },
  { name: 'no answer, once', strike: always({ hang: true }), times: 1, policy: impatient, outcome: askedAgain() },
  {
    name: 'an answer that comes too late',
    strike: always({ delayMs: 2_500 }),
    times: 1,
    policy: impatient,
    outcome: askedAgain(),
  },
  {
    name: 'a body that stops halfway',
    strike: always({ stallAfterBytes: 90 }),
    times: 1,
    policy: impatient,
    outcome: askedAgain(),
  },
  { name: '429 with Retry-After in seconds', strike: () => throttled(1), times: 1, outcome: askedAgain(1, 1_000) },
  {
    name: '429 with Retry-After as a date',
    strike: () => throttled(new Date(Date.now() + 1_500).toUTCString()),
    times: 1,
    outcome: askedAgain(1, 100),
  },
  { name: '429 with a fraction of a second', strike: () => throttled('0.03'), times: 1, outcome: askedAgain(1, 30) },
  { name: '429 without Retry-After, twice', strike: () => throttled(null), times: 2, outcome: askedAgain(2) },
  { name: '429 for longer than the budget', strike: () => throttled(86_400), outcome: fails('graph_throttled') },
  { name: '429 again and again', strike: () => throttled(null), outcome: fails('graph_throttled') },
  { name: '500', strike: refusal(500, 'generalException'), times: 1, outcome: askedAgain() },
  {
    name: '502 with HTML',
    strike: always({ status: 502, body: '<html>Bad Gateway</html>' }),
    times: 1,
    outcome: askedAgain(),
  },
  {
    name: '503 with Retry-After',
    strike: refusal(503, 'serviceNotAvailable', { 'Retry-After': '0.02' }),
    times: 1,
    outcome: askedAgain(1, 20),
  },
  { name: '504', strike: refusal(504, 'UnknownError'), times: 1, outcome: askedAgain() },
  { name: '503 again and again', strike: down, outcome: fails('graph_unavailable') },
  {
    name: 'the connection is refused',
    strike: (strike) => goDown(strike, 'a wait'),
    times: 1,
    both: true,
    policy: patient,
    outcome: askedAgain(2),
  },
  {
    name: 'the connection is refused, again and again',
    strike: (strike) => goDown(strike, 'the cycle'),
    times: 1,
    both: true,
    outcome: fails('graph_unavailable'),
  },
  {
    name: 'no name server',
    strike: (strike) => loseName(strike, 'a wait'),
    times: 1,
    both: true,
    host: ownHosts[0],
    policy: patient,
    outcome: askedAgain(2),
  },
  {
    name: 'no name server, again and again',
    strike: (strike) => loseName(strike, 'the cycle'),
    times: 1,
    both: true,
    host: ownHosts[1],
    outcome: fails('graph_unavailable'),
  },
  {
    name: 'a certificate that is not trusted',
    strike: changeCertificate,
    times: 1,
    both: true,
    outcome: fails('graph_unavailable'),
  },
  { name: 'the connection is reset', strike: always({ reset: true }), times: 1, outcome: askedAgain() },
  {
    name: 'the connection is closed without an answer',
    strike: always({ destroy: true }),
    times: 1,
    outcome: askedAgain(),
  },
  { name: 'the body is cut', strike: always({ cutAfterBytes: 90 }), times: 1, outcome: askedAgain() },
  {
    name: 'the body is cut, again and again',
    strike: always({ cutAfterBytes: 90 }),
    outcome: fails('graph_unavailable'),
  },
  {
    name: 'HTML with 200',
    strike: always({ body: '<html>sign in to the hotel</html>' }),
    times: 1,
    outcome: askedAgain(),
  },
  {
    name: 'HTML with 200, again and again',
    strike: always({ body: '<html>' }),
    outcome: fails('graph_answer_invalid'),
  },
  {
    name: 'broken JSON with 200',
    strike: always({ body: '{"value":[{"id":"ann@contoso' }),
    times: 1,
    outcome: askedAgain(),
  },
  {
    name: 'an error object inside a 200',
    strike: (strike) => ({ ...refusal(200, 'UnknownError')(strike) }),
    times: 1,
    outcome: askedAgain(),
  },
  {
    name: 'an error object inside a 200, again and again',
    strike: refusal(200, 'UnknownError'),
    outcome: fails('graph_answer_invalid'),
  },
  { name: 'a page without a link', strike: always({ body: { value: [] } }), times: 1, outcome: askedAgain() },
  { name: '401 once', strike: unauthorized, times: 1, outcome: askedAgain(0) },
  { name: '401 always', strike: unauthorized, outcome: fails('sign_in_failed') },
  {
    name: 'the access token is revoked',
    strike: ({ world }) => void world.simulator.revokeTokens(),
    times: 1,
    outcome: askedAgain(0),
  },
  { name: '403', strike: refusal(403, 'Authorization_RequestDenied'), outcome: fails('permission_missing') },
  {
    name: '404 once',
    strike: refusal(404, 'UnknownError'),
    times: 1,
    outcome: (at) => (onLink(at) ? { heals: 'asked_again', waits: 1 } : { fails: 'graph_answer_invalid' }),
  },
  { name: '404 twice', strike: refusal(404, 'UnknownError'), times: 2, outcome: dead('graph_answer_invalid') },
  { name: '404 always', strike: refusal(404, 'UnknownError'), outcome: fails('graph_answer_invalid') },
  { name: '410 with Location', strike: location, times: 1, outcome: dead('graph_answer_invalid') },
  {
    name: '410 without Location',
    strike: refusal(410, 'resyncRequired'),
    times: 1,
    outcome: dead('graph_answer_invalid'),
  },
  { name: '410 always', strike: location, outcome: fails('graph_answer_invalid') },
  {
    name: 'the observed 400 for a dead token',
    strike: refusal(400, 'Request_UnsupportedQuery'),
    times: 1,
    outcome: dead('delta_unsupported'),
  },
  {
    name: 'a documented 400 for a dead token',
    strike: refusal(400, 'syncStateNotFound'),
    times: 1,
    outcome: dead('graph_answer_invalid'),
  },
  {
    name: 'the same code from a tenant without delta',
    strike: always(noDelta),
    outcome: deadAgain('delta_unsupported'),
  },
  {
    name: '400 for something else',
    strike: refusal(400, 'BadRequest'),
    outcome: (at) => ({ fails: onLink(at) ? 'graph_answer_invalid' : 'property_refused' }),
  },
  {
    name: 'a redirect to another host',
    strike: always({ status: 307, headers: { Location: 'https://graph.example/v1.0/' }, body: '' }),
    outcome: fails('graph_answer_invalid'),
  },
  { name: 'a link to another host', link: ({ url }) => `https://graph.example${url}`, outcome: fails('foreign_link') },
  {
    name: 'the same link again and again',
    link: ({ world, url }) => `${world.simulator.origin}${url}`,
    outcome: fails('round_endless'),
  },
  {
    name: 'new links without end and nothing new',
    link: ({ world, at }) => `${world.simulator.origin}/v1.0/${at.stream}/delta?$skiptoken=endless-1`,
    outcome: fails('round_endless'),
  },
];
