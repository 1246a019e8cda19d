// The protocol's CancelRequest, sent over a new connection without login or answer. Poolers forward it.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Client } from 'pg';

type CancelledBackend = {
  readonly host: string;
  readonly port: number;
  readonly processID: number | null;
  readonly secretKey: number | null;
  /** The TLS options; true: Node's defaults. */
  readonly ssl: boolean | Record<string, unknown>;
};

const giveUpMs = 3_000;
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** Asks the server to cancel the statement of `client`. Never throws. */
export function sendCancel(client: Client): void {
  const { host, port, processID, secretKey, ssl } = client as unknown as CancelledBackend;
  if (processID === null || secretKey === null) return;
  const request = Buffer.alloc(16);
  for (const [place, number] of [16, 80_877_102, processID, secretKey].entries())
    request.writeInt32BE(number, place * 4);
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
  const timer = setTimeout(() => socket.destroy(), giveUpMs);
  socket.unref();
  timer.unref();
  socket.on('error', () => {}).on('close', () => clearTimeout(timer));
  socket.once('connect', () => {
    if (ssl === false) socket.end(request);
    else askForTls(socket, host, ssl === true ? {} : ssl, request);
  });
}

function askForTls(socket: Socket, host: string, options: Record<string, unknown>, request: Buffer): void {
  socket.write(sslRequest);
  socket.once('data', (answer) => {
    if (answer.toString() !== 'S') return socket.destroy();
    const secure = connectTls({ host, ...options, socket }, () => secure.end(request));
    secure.on('error', () => {});
    return undefined;
  });
}
