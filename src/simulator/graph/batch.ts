// POST /v1.0/$batch: up to 20 GETs in one request, each with its own answer, in an order that the service chooses.
import { type Answer, graphError } from '../answers.ts';
import type { GraphContext, GraphRequest } from './graph-request.ts';
import { refuseStuckObject } from './stuck.ts';

type Part = { id: string; method: string; url: string; headers: Record<string, string> };

const malformed = (message: string) => graphError(400, 'BadRequest', message);

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readPart(value: unknown): Part | string {
  if (
    !isRecord(value) ||
    typeof value.id !== 'string' ||
    typeof value.method !== 'string' ||
    typeof value.url !== 'string'
  ) {
    return 'Invalid batch payload format.';
  }
  if (/^[a-z]+:/i.test(value.url)) return `Invalid request url '${value.url}': it must be relative.`;
  const headers: Record<string, string> = {};
  for (const [name, content] of Object.entries(isRecord(value.headers) ? value.headers : {})) {
    headers[name.toLowerCase()] = String(content);
  }
  const url = value.url.startsWith('/') ? value.url : `/${value.url}`;
  return { id: value.id, method: value.method.toUpperCase(), url, headers };
}

function readParts(body: string): Part[] | string {
  let payload: unknown;
  try {
    payload = JSON.parse(body);
  } catch {
    return 'Invalid batch payload format.';
  }
  if (!isRecord(payload) || !Array.isArray(payload.requests) || payload.requests.length === 0) {
    return 'Invalid batch payload format.';
  }
  if (payload.requests.length > 20) return 'Number of batch request steps exceeds the maximum value of 20.';
  const parts: Part[] = [];
  for (const value of payload.requests) {
    const part = readPart(value);
    if (typeof part === 'string') return part;
    if (parts.some((other) => other.id === part.id)) return 'Request Id has to be unique in a batch.';
    parts.push(part);
  }
  return parts;
}

/** Answers a `$batch`. The outer status is 200 if its body is valid; failed parts have their own status. */
export async function answerBatch(context: GraphContext, request: GraphRequest): Promise<Answer> {
  const parts = readParts(request.body);
  if (typeof parts === 'string') return malformed(parts);
  const { stuck } = context.options;
  for (const { url } of parts) {
    const failing = refuseStuckObject(stuck, url.split(/[/?]/)[2] ?? '', 'batch');
    if (failing) return failing;
  }
  const responses: Record<string, unknown>[] = [];
  for (const part of parts) {
    const answer = await context.answerInner({
      method: part.method,
      url: `/v1.0${part.url}`,
      headers: { authorization: request.headers.authorization, ...part.headers },
      body: '',
      isInner: true,
    });
    // Bytes come as base64 (learn.microsoft.com/graph/json-batching).
    const body = answer.body instanceof Uint8Array ? Buffer.from(answer.body).toString('base64') : answer.body;
    const headers = { 'Content-Type': 'application/json', 'OData-Version': '4.0', ...answer.headers };
    responses.push({ id: part.id, status: answer.status, headers, body: body ?? null });
  }
  // Graph may answer in any order. The reverse shows a careless client at once.
  return { status: 200, body: { responses: responses.reverse() } };
}
