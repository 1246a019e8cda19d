// A way to Postgres that breaks at COMMIT: just before it reaches the server, or after it with the answer lost.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type BreakablePath = {
  /** The database, by way of this path. */
  readonly url: string;
  /** The next COMMIT sent breaks every connection: `before` the server gets it, or `after` the server has answered it. */
  breakAtCommit(when: 'before' | 'after'): void;
  close(): Promise<void>;
};

/** Opens a path to the database of `url`. The connection must be without TLS, as in the tests' own server. */
export async function openBreakablePath(url: string): Promise<BreakablePath> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let armed: 'before' | 'after' | undefined;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let answerLost = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (bytes) => {
      const commits = armed !== undefined && bytes.includes('COMMIT;');
      if (commits && armed === 'before') {
        armed = undefined;
        cut();
        return;
      }
      if (commits) {
        armed = undefined;
        answerLost = true;
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (answerLost) cut();
      else client.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = new URL(url);
  own.hostname = '127.0.0.1';
  own.port = String((server.address() as AddressInfo).port);
  return {
    url: own.href,
    breakAtCommit: (when) => {
      armed = when;
    },
    async close() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
