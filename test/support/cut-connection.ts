// A way to Postgres that reads what passes, statement by statement, and breaks where a test says: before a statement reaches
// the server, once it was done and its answer is lost, or after the answer.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** One statement that a client sends: its text, and the how many-th it is of this text since the path was last watched. */
export type PassingStatement = { readonly sql: string; readonly occurrence: number };

/** `before` the server gets it, when it is done and the answer is `unanswered`, and `after` the client has the answer. */
export type Moment = (typeof moments)[number];
export const moments = ['before', 'unanswered', 'after'] as const;

/** What breaks: this `connection`, as when the server ends it, or the `network`, until it is mended. */
export type Breakage = 'connection' | 'network';

/** Asked three times of every statement; whatever it waits for, the statement waits for. */
export type Watch = (
  statement: PassingStatement,
  moment: Moment,
) => Breakage | undefined | Promise<Breakage | undefined>;

export type BreakablePath = {
  /** The database, by way of this path. */
  readonly url: string;
  /** Who decides from now on what breaks. A network that is down comes up again by itself after refusing so many connections. */
  watch(watch: Watch, refusals?: number): void;
  /** The next COMMIT breaks every connection: `before` the server gets it, or `after` the server has answered it. */
  breakAtCommit(when: 'before' | 'after'): void;
  /** From now on the path leads to another address of the same database, as when its server was started anew. */
  leadTo(url: string): void;
  /** Every connection breaks now, whatever is under way on it. */
  cut(): void;
  /** Nothing breaks any more, and a network that is down is up again. */
  mend(): void;
  close(): Promise<void>;
};

/** Opens a path to the database of `url`. The connection must be without TLS, as in the tests' own server. */
export async function openBreakablePath(url: string): Promise<BreakablePath> {
  let target = new URL(url);
  const sockets = new Set<Socket>();
  let watching: Watch | undefined;
  let seen = new Map<string, number>();
  let patience = 0;
  let refusals = 0;
  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((client) => {
    if (refusals > 0) {
      refusals -= 1;
      client.destroy();
      return;
    }
    const upstream = connect(Number(target.port || 5432), target.hostname);
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('close', () => upstream.destroy());
    // What the server said last, such as why it ends the connection, still reaches the client.
    upstream.on('close', () => client.end());

    let current: PassingStatement | undefined;
    const breaks = async (moment: Moment): Promise<boolean> => {
      const broken = current === undefined ? undefined : await watching?.(current, moment);
      if (broken === undefined) return false;
      if (broken === 'network') {
        refusals = patience;
        cutAll();
      } else cut();
      return true;
    };
    inOrder(client, splitRequests(), async ({ bytes, sql }) => {
      if (sql !== undefined) {
        const occurrence = (seen.get(sql) ?? 0) + 1;
        seen.set(sql, occurrence);
        current = { sql, occurrence };
        if (await breaks('before')) return;
      }
      upstream.write(bytes);
    });
    inOrder(upstream, splitAnswers(), async ({ bytes, whole }) => {
      if (whole && (await breaks('unanswered'))) return;
      if (!whole || current === undefined) {
        client.write(bytes);
        return;
      }
      await new Promise<void>((resolve) => client.write(bytes, () => resolve()));
      await breaks('after');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = new URL(url);
  own.hostname = '127.0.0.1';
  own.port = String((server.address() as AddressInfo).port);
  const watch = (next: Watch | undefined, most = Number.POSITIVE_INFINITY) => {
    watching = next;
    patience = most;
    seen = new Map();
  };
  return {
    url: own.href,
    watch,
    breakAtCommit: (when) =>
      watch(({ sql }, moment) => {
        if (sql !== 'COMMIT;' || moment !== (when === 'before' ? 'before' : 'unanswered')) return undefined;
        watch(undefined);
        cutAll();
        return 'connection';
      }),
    leadTo: (next) => {
      target = new URL(next);
    },
    cut: cutAll,
    mend: () => {
      watch(undefined);
      refusals = 0;
    },
    async close() {
      cutAll();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Hands what `split` makes of a socket's bytes to `take`, one after another, and none once the socket is gone. */
function inOrder<Part>(socket: Socket, split: (bytes: Buffer) => Part[], take: (part: Part) => Promise<void>): void {
  let queue = Promise.resolve();
  socket.on('data', (bytes) => {
    for (const part of split(bytes)) queue = queue.then(() => (socket.destroyed ? undefined : take(part)));
  });
}

type Request = { bytes: Buffer; sql: string | undefined };

// A statement is one Query message, or whatever leads to a Sync with one Parse in it. The first message has no type.
function splitRequests(): (bytes: Buffer) => Request[] {
  let left = Buffer.alloc(0);
  let started = false;
  let collected: Buffer[] = [];
  let sql: string | undefined;
  return (bytes) => {
    const requests: Request[] = [];
    left = Buffer.concat([left, bytes]);
    for (;;) {
      const header = started ? 1 : 0;
      if (left.length < header + 4) return requests;
      const length = header + left.readInt32BE(header);
      if (left.length < length) return requests;
      const message = left.subarray(0, length);
      const type = started ? String.fromCharCode(message[0] ?? 0) : '';
      left = left.subarray(length);
      started = true;
      collected.push(message);
      if (type === 'Q') sql = textAt(message, 5);
      if (type === 'P') sql = textAt(message, message.indexOf(0, 5) + 1);
      if ('PBDEC'.includes(type) && type !== '') continue;
      requests.push({ bytes: Buffer.concat(collected), sql });
      collected = [];
      sql = undefined;
    }
  };
}

function textAt(message: Buffer, start: number): string {
  return message.toString('utf8', start, message.indexOf(0, start));
}

// An answer is whole with ReadyForQuery; all of it is kept until then, so that an answer that is lost is lost as a whole.
// What comes while nothing is asked (the login, a farewell) passes at once.
function splitAnswers(): (bytes: Buffer) => { bytes: Buffer; whole: boolean }[] {
  let left = Buffer.alloc(0);
  let collected: Buffer[] = [];
  return (bytes) => {
    const answers: { bytes: Buffer; whole: boolean }[] = [];
    left = Buffer.concat([left, bytes]);
    while (left.length >= 5) {
      const length = 1 + left.readInt32BE(1);
      if (left.length < length) break;
      const message = left.subarray(0, length);
      left = left.subarray(length);
      collected.push(message);
      const type = String.fromCharCode(message[0] ?? 0);
      // A login's steps (R) and errors that end the connection are not followed by one.
      if (type !== 'Z' && type !== 'R' && type !== 'E') continue;
      answers.push({ bytes: Buffer.concat(collected), whole: type === 'Z' });
      collected = [];
    }
    return answers;
  };
}
