// users/delta and groups/delta: first rounds, later rounds, their pages, links and refusals.
import { type Answer, badRequest, deadToken, graphError } from '../answers.ts';
import type { SimulatorOptions } from '../options.ts';
import { type StreamName, schemas } from '../tenant/properties.ts';
import type { Truth } from '../tenant/truth.ts';
import { type Query, refuseSelect, selectOf } from './query.ts';
import { renderItem } from './render.ts';
import { beginRound, findRound, type Round } from './rounds.ts';
import { refuseStuckLink } from './stuck.ts';
import { expiryOf, readToken, type Token, writeToken } from './tokens.ts';

export type DeltaRequest = {
  truth: Truth;
  options: SimulatorOptions;
  origin: string;
  stream: StreamName;
  query: Query;
  /** The request asked for `Prefer: return=minimal`. */
  minimal: boolean;
};

const linkOf = (request: DeltaRequest, name: 'skip' | 'delta', token: string) =>
  `${request.origin}/v1.0/${request.stream}/delta?$${name}token=${token}`;

function refuseDead(request: DeltaRequest, token: Token): Answer | undefined {
  const how = expiryOf(request.truth, token);
  // A restarted simulator has a tenant that is younger than the token: that state is gone, too.
  const isFromTheFuture = token.kind === 'delta' && token.since > request.truth.now;
  if (how === undefined && !isFromTheFuture) {
    return undefined;
  }
  if (how === '410') {
    // Graph: "Synchronization reset"; the Location holds an empty token (code and body for users and groups unrecorded).
    return graphError(410, 'resyncRequired', 'Resync is required.', { Location: linkOf(request, 'delta', '') });
  }
  return deadToken();
}

function contextOf(request: DeltaRequest, select: readonly string[] | undefined): string {
  const { origin, stream } = request;
  const names = select?.filter((name) => !schemas[stream].links.has(name)) ?? [];
  return `${origin}/v1.0/$metadata#${stream}${names.length > 0 ? `(${names.join(',')})` : ''}`;
}

function nextDeltaLink(
  request: DeltaRequest,
  since: number,
  nonce: string,
  select: readonly string[] | undefined,
): string {
  const { truth, stream } = request;
  const token: Token = { kind: 'delta', epoch: truth.expiries.length, stream, since, nonce, select };
  return linkOf(request, 'delta', writeToken(truth, token));
}

function servePage(request: DeltaRequest, round: Round, number: number): Answer {
  const { truth } = request;
  const { view } = round;
  const items = round.pages[number];
  if (items === undefined) {
    return deadToken();
  }
  const isFirst = number === 0 && view.since === undefined;
  const body: Record<string, unknown> = { '@odata.context': contextOf(request, isFirst ? round.select : undefined) };
  if (number + 1 < round.pages.length) {
    const token: Token = {
      kind: 'skip',
      epoch: truth.expiries.length,
      stream: view.stream,
      round: round.id,
      page: number + 1,
    };
    body['@odata.nextLink'] = linkOf(request, 'skip', writeToken(truth, token));
  } else {
    // The new token stands for the beginning of the round: what changed meanwhile is told again rather than lost.
    body['@odata.deltaLink'] = nextDeltaLink(request, view.start, round.id, round.select);
  }
  const minimal = request.minimal && view.since !== undefined;
  body.value = items.map((item) => renderItem(truth, view, item, minimal));
  return minimal ? { status: 200, headers: { 'Preference-Applied': 'return=minimal' }, body } : { status: 200, body };
}

function begin(request: DeltaRequest, since: number | undefined, select: string[] | undefined, raw?: string): Answer {
  const { truth, stream, options } = request;
  const { links, standard } = schemas[stream];
  // Without $select the members come by themselves, the manager does not (microsoft-graph-docs issue 4500).
  const link = select ? select.find((name) => links.has(name)) : stream === 'groups' ? 'members' : undefined;
  const tracked = (select ?? standard).filter((name) => !links.has(name));
  return servePage(request, beginRound(truth, { stream, select: tracked, link, since }, select, raw, options), 0);
}

/**
 * Answers users/delta or groups/delta. `$filter`, `$top`, `$expand` and `$orderby` are ignored, as people have seen it.
 */
export function answerDelta(request: DeltaRequest): Answer {
  const { truth, query, stream, options } = request;
  if (query.skipToken !== undefined && query.deltaToken !== undefined) {
    return badRequest("Invalid request: Both skiptoken and deltatoken can't be in the same request.");
  }
  const raw = query.skipToken ?? query.deltaToken;
  const select = selectOf(query);
  if (raw === undefined || raw === '' || raw === 'latest') {
    const refused = select && refuseSelect(stream, select, true);
    if (refused) {
      return refused;
    }
    if (raw !== 'latest') {
      return begin(request, undefined, select);
    }
    // Unique, since two callers may start at the same moment.
    const link = nextDeltaLink(request, truth.now, `latest ${performance.now()}`, select);
    return { status: 200, body: { '@odata.context': contextOf(request, select), '@odata.deltaLink': link, value: [] } };
  }
  const token = readToken(truth, raw);
  const isRightKind = token?.kind === (query.skipToken === undefined ? 'delta' : 'skip');
  if (token === undefined || token.kind === 'list' || !isRightKind || token.stream !== stream) {
    return deadToken();
  }
  const refused = refuseDead(request, token);
  if (refused) {
    return refused;
  }
  const { stuck } = options;
  if (token.kind === 'delta') {
    const asked = { stream, round: 'later' as const, page: 1, edits: truth.now - token.since };
    const failing = refuseStuckLink(stuck, asked);
    if (failing) {
      return failing;
    }
    return begin(request, token.since, token.select ? [...token.select] : undefined, raw);
  }
  const round = findRound(truth, token.round);
  if (round === undefined) {
    return deadToken();
  }
  const { since, start } = round.view;
  const kind = since === undefined ? 'full' : 'later';
  const failing = refuseStuckLink(stuck, { stream, round: kind, page: token.page + 1, edits: truth.now - start });
  return failing ?? servePage(request, round, token.page);
}
