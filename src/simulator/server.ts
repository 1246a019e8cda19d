// The TLS server: reads requests, sends answers, plays broken connections, and survives whatever is thrown at it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Answer } from './answers.ts';
import type { GraphRequest } from './graph/graph-request.ts';

/** What is to happen to one request. */
export type Exchange =
  | { kind: 'answer'; answer: Answer; delayMs?: number; part?: { bytes: number; end: 'cut' | 'stall' } }
  | { kind: 'destroy' | 'reset' | 'hang' };

export type Listening = {
  origin: string;
  /** Ends every connection; new ones are taken. */
  cutConnections: () => void;
  /** Nobody listens any more: connections are refused. Gives the function that listens again on the same port. */
  goDown: () => Promise<() => Promise<void>>;
  /** The certificate for connections that are made from now on. */
  present: (tls: { key: string; cert: string }) => void;
  close: () => Promise<void>;
};

type ListenOptions = {
  host: string;
  port: number;
  tls: { key: string; cert: string };
  latencyMs: () => number;
  answer: (request: GraphRequest) => Promise<Exchange>;
};

const largestBody = 4 * 1024 * 1024;

async function readBody(incoming: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > largestBody) {
      return undefined;
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, exchange: Exchange & { kind: 'answer' }): void {
  const { answer, part } = exchange;
  const { body } = answer;
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const bytes = body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(text, 'utf8');
  response.writeHead(answer.status, { ...answer.headers, 'Content-Length': String(bytes.length) });
  if (part === undefined) {
    response.end(bytes);
    return;
  }
  // Destroyed only after the bytes have left, so that the client really sees the beginning.
  response.write(bytes.subarray(0, part.bytes), () => {
    if (part.end === 'cut') {
      response.destroy();
    }
  });
}

/** Listens on TLS; rejects when the address cannot be used. */
export async function listen(options: ListenOptions): Promise<Listening> {
  const { host, port, tls } = options;
  const sockets = new Set<Socket>();
  const closing = new AbortController();

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(incoming);
    if (body === undefined) {
      response.writeHead(413, { Connection: 'close' }).end();
      return;
    }
    if (options.latencyMs() > 0) {
      await wait(options.latencyMs(), undefined, { signal: closing.signal });
    }
    const { method = 'GET', url = '/', headers } = incoming;
    const { remotePort } = incoming.socket;
    const exchange = await options.answer({
      method,
      url,
      headers,
      body,
      ...(remotePort !== undefined && { remotePort }),
    });
    if (exchange.kind === 'destroy') {
      response.destroy();
    } else if (exchange.kind === 'reset') {
      // Only the socket below TLS can be reset.
      [...sockets].find((socket) => socket.remotePort === remotePort)?.resetAndDestroy();
    } else if (exchange.kind === 'answer') {
      if (exchange.delayMs !== undefined) {
        await wait(exchange.delayMs, undefined, { signal: closing.signal });
      }
      send(response, exchange);
    }
  }

  const server = createServer(tls, (incoming, response) => {
    handle(incoming, response).catch((cause: unknown) => {
      // A client that went away, or a test's handler that threw; the latter should be seen by the test.
      if (response.headersSent || response.destroyed) {
        response.destroy();
      } else {
        response.writeHead(500, { 'Content-Type': 'text/plain' }).end(`The simulator failed: ${String(cause)}`);
      }
    });
  });
  // Longer than clients keep idle connections: a reset at reuse must come from a test, never by chance.
  server.keepAliveTimeout = 120_000;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (socket.writable && error.code !== 'ECONNRESET') {
      const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    } else {
      socket.destroy();
    }
  });

  const start = (onPort: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(onPort, host, () => {
        server.removeListener('error', reject);
        resolve();
      });
    });
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      cutConnections();
    });
  const cutConnections = () => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  await start(port);
  const { port: actual } = server.address() as AddressInfo;

  return {
    origin: `https://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    cutConnections,
    present: (other) => server.setSecureContext(other),
    goDown: async () => {
      await stop();
      return () => start(actual);
    },
    close: async () => {
      closing.abort();
      await stop();
    },
  };
}
