// Parses an answer of Graph, or says why it counts as a failed try.
import { errorCodes, namedProperties, retryAfterMs } from '../rules/failures.ts';
import { parseJson } from '../rules/json.ts';
import type { Answer } from './client.ts';
import { RequestFailed } from './request-failed.ts';

/** Takes a body and the Date of its answer. `malformed` and `failed` count as a failed try. */
export type Parse<Body> = (
  body: unknown,
  answered: string | null,
) => Body | { readonly malformed: string } | { readonly failed: RequestFailed };

/** Returns the parsed body of `answer` to `url`. Throws {@link RequestFailed}. */
export function parseAnswer<Body>(answer: Answer, url: string, carriedToken: boolean, parse: Parse<Body>): Body {
  const answered = answer.headers.get('date');
  const more = {
    retryAfterMs: retryAfterMs(answer.headers.get('retry-after'), answered, Date.now()),
    requestId: requestIdOf(answer),
  };
  const body = parseJson(answer.text);
  if (answer.status !== 200) {
    const codes = errorCodes(body);
    const codeSuffix = codes[0] ? ` ${codes.join('/')}` : '';
    throw new RequestFailed(
      { kind: 'answer', status: answer.status, codes, carriedToken },
      `Graph answered ${answer.status}${codeSuffix}`,
      { ...more, refused: namedProperties(body, selectOf(url)) },
    );
  }
  if (body === undefined)
    throw new RequestFailed({ kind: 'malformed' }, 'Graph answered 200 with something that is not JSON', more);
  const parsed = parse(body, answered);
  if (isObject(parsed) && 'malformed' in parsed) {
    throw new RequestFailed({ kind: 'malformed' }, `Graph answered 200, but ${parsed.malformed}`, more);
  }
  if (isObject(parsed) && 'failed' in parsed) throw parsed.failed;
  return parsed as Body;
}

// It goes into logs, so accept only a text that looks like one.
function requestIdOf({ headers }: Answer): string | null {
  const id = headers.get('request-id');
  return id !== null && /^[\w-]{1,80}$/.test(id) ? id : null;
}

// The properties that our URL selects. Their names are never encoded.
function selectOf(url: string): string[] {
  return /[?&]\$select=([^&]*)/.exec(url)?.[1]?.split(',') ?? [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
