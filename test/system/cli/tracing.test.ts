// OpenTelemetry: the spans of a cycle as a tree, and a real process that sends them to a collector if configured.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { context as contexts, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { expect, test } from 'vitest';
import { wantsTraces } from '../../../src/tracing.ts';
import { runCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { failureOf, openWorld } from '../../support/system.ts';

/** Returns the spans as lines `parent > name`, each once. */
function tree(spans: readonly ReadableSpan[]): string[] {
  const names = new Map(spans.map((span) => [span.spanContext().spanId, span.name]));
  const lines = spans.map((span) => `${names.get(span.parentSpanContext?.spanId ?? '') ?? ''} > ${span.name}`);
  return [...new Set(lines)].sort();
}

test('a cycle is a tree of spans: streams, pulls with their requests, commits; ids, counts and codes alone', async (context) => {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  contexts.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
  context.onTestFinished(() => {
    trace.disable();
    contexts.disable();
  });
  const world = await openWorld({ users: 5, groups: 1 });
  await world.cycle();
  const spans = exporter.getFinishedSpans();
  expect(tree(spans)).toEqual([
    ' > cycle',
    'cycle > stream',
    'pull > GET groups/delta',
    'pull > GET users/delta',
    'stream > GET deletedItems',
    'stream > GET deletedItems/group',
    'stream > GET groups',
    'stream > GET users',
    'stream > ask',
    'stream > commit',
    'stream > pull',
  ]);
  const cycle = spans.find(({ name }) => name === 'cycle');
  expect(cycle?.attributes).toMatchObject({
    'entra_sync.tenant': world.tenant.tenantId,
    'entra_sync.kind': 'initial',
    'entra_sync.outcome': 'committed',
  });
  const told = JSON.stringify(spans.map(({ name, attributes, status }) => [name, attributes, status]));
  for (const { properties } of world.tenant.users()) {
    expect(told).not.toContain(String(properties.displayName));
    expect(told).not.toContain(String(properties.userPrincipalName));
  }
  expect(told).not.toMatch(/token|https:/i);
  expect(told).not.toMatch(/eyJ/);

  exporter.reset();
  world.simulator.intercept(({ url }) => (url.includes('/users/delta') ? { status: 403, body: {} } : undefined));
  await failureOf(world.cycle());
  const failed = exporter.getFinishedSpans().filter(({ status }) => status.code === 2);
  expect(failed.map(({ name, status }) => [name, status.message])).toContainEqual(['pull', 'permission_missing']);
});

test('the standard variables turn traces on or off', () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318' };
  expect([
    wantsTraces({}),
    wantsTraces(endpoint),
    wantsTraces({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://localhost:4318/v1/traces' }),
    wantsTraces({ OTEL_TRACES_EXPORTER: 'otlp' }),
    wantsTraces({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }),
    wantsTraces({ ...endpoint, OTEL_SDK_DISABLED: 'true' }),
  ]).toEqual([false, true, true, true, false, false]);
});

test.runIf(isDeep)(
  'a process sends its spans to the collector before it ends, and works without a collector',
  async (context) => {
    const world = await openWorld({ users: 3, onEnd: context.onTestFinished });
    const received: { path: string; name: unknown; body: string }[] = [];
    const collector = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(Buffer.from(chunk));
      const body = Buffer.concat(chunks).toString('latin1');
      received.push({ path: request.url ?? '', name: request.headers['x-team'], body });
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    context.onTestFinished(() => new Promise<void>((resolve) => collector.close(() => resolve())));
    const { port } = collector.address() as AddressInfo;
    const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
    const ended = await runCli(['sync'], {
      ...environment,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-team=directory',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    });
    expect(ended.code, ended.stderr).toBe(0);
    expect(received.map(({ path, name }) => [path, name])).toContainEqual(['/v1/traces', 'directory']);
    const all = received.map(({ body }) => body).join('');
    for (const said of ['entra-sync', 'cycle', 'commit', 'GET users/delta', 'deployment.environment.name'])
      expect(all).toContain(said);
    expect(all).not.toMatch(/deltatoken|skiptoken/i);
    // The bodies hold drawn bytes too, so one token's first letters alone prove nothing.
    expect(all).not.toMatch(/eyJ[\w-]{8}/);
    // No collector listens: the cycle still succeeds.
    const alone = await runCli(['sync'], { ...environment, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
    expect(alone.code, alone.stderr).toBe(0);
  },
);
