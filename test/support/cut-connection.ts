// A proxy to Postgres that reads the traffic by statement and breaks where a test says: before a statement reaches the
// server, after it was done but before its answer, or after the answer.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A client's statement, and its number among equal ones since the last `watch`. */
export type PassingStatement = { readonly sql: string; readonly occurrence: number };

/** `before` the server gets it; `unanswered`: done, but not answered; `after` the answer. */
export type Moment = (typeof moments)[number];
export const moments = ['before', 'unanswered', 'after'] as const;

/** `connection`: this one breaks, as when the server ends it; `network`: all break, until it is repaired. */
export type Breakage = 'connection' | 'network';

/** Called three times per statement; the statement waits for the promise. */
export type Watch = (
  statement: PassingStatement,
  moment: Moment,
) => Breakage | undefined | Promise<Breakage | undefined>;

export type BreakablePath = {
  /** The URL of the database through this path. */
  readonly url: string;
  /** Sets what breaks. A broken network works again after `refusals` refused connections. */
  watch(watch: Watch, refusals?: number): void;
  /** The next COMMIT breaks every connection, `before` or `after` the server did it. */
  breakAtCommit(when: 'before' | 'after'): void;
  /** Leads new connections to another address of the database, as after a restart of its server. */
  leadTo(url: string): void;
  /** Breaks every connection now, even during a statement. */
  cut(): void;
  /** Ends every fault; a broken network works again. */
  mend(): void;
  close(): Promise<void>;
};

/** Opens a path to the database of `url`, which must not use TLS. */
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
    // The server's last message, such as why it ends the connection, still reaches the client.
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

/** Passes the parts that `split` makes of a socket's bytes to `take` in order, until the socket is closed. */
function inOrder<Part>(socket: Socket, split: (bytes: Buffer) => Part[], take: (part: Part) => Promise<void>): void {
  let queue = Promise.resolve();
  socket.on('data', (bytes) => {
    for (const part of split(bytes)) queue = queue.then(() => (socket.destroyed ? undefined : take(part)));
  });
}

type Request = { bytes: Buffer; sql: string | undefined };

// A statement is one Query message, or all messages up to a Sync with one Parse among them. The first message has no type.
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

// An answer ends with ReadyForQuery. All of it is kept until then, so that it is lost as a whole. Messages outside a
// statement (login, the last error) pass at once.
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
      // Login steps (R) and errors that end the connection have no ReadyForQuery.
      if (type !== 'Z' && type !== 'R' && type !== 'E') continue;
      answers.push({ bytes: Buffer.concat(collected), whole: type === 'Z' });
      collected = [];
    }
    return answers;
  };
}
