// OpenTelemetry: spans of a cycle. The SDK is loaded only if its standard variables ask for it.
import { type Attributes, type Span, SpanStatusCode, trace } from '@opentelemetry/api';
import { errorCodeOf } from './errors.ts';
import { packageVersion } from './package-files.ts';

const tracer = () => trace.getTracer('entra-sync');

/** Runs `work` within a span. Attributes are ids, counts and codes only (rule 18). */
export function inSpan<Answer>(
  name: string,
  attributes: Attributes,
  work: (span: Span) => Promise<Answer>,
): Promise<Answer> {
  return tracer().startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      // The code alone: a message may hold a name.
      span.setStatus({ code: SpanStatusCode.ERROR, message: errorCodeOf(error) });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Adds a span that has just ended, below the current one. */
export function pastSpan(name: string, seconds: number, attributes: Attributes, failed: boolean): void {
  const end = Date.now();
  const span = tracer().startSpan(name, { attributes, startTime: end - seconds * 1000 });
  if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(end);
}

/** Whether the standard variables ask for traces. */
export function wantsTraces(variables: NodeJS.ProcessEnv): boolean {
  const exporter = variables.OTEL_TRACES_EXPORTER;
  if (variables.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || exporter === 'none') return false;
  return Boolean(exporter || variables.OTEL_EXPORTER_OTLP_ENDPOINT || variables.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
}

export type Tracing = {
  /** A remark to print: variables that are ignored. */
  readonly remark: string | undefined;
  /** Sends the remaining spans, briefly: stopping may take ten seconds in all. */
  close(): Promise<void>;
};

/** Starts to send spans by OTLP over HTTP if the standard variables ask for it. */
export async function startTracing(variables: NodeJS.ProcessEnv): Promise<Tracing | undefined> {
  if (!wantsTraces(variables)) return undefined;
  const [{ context }, { AsyncLocalStorageContextManager }, { OTLPTraceExporter }, resources, sdk] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace'),
  ]);
  const resource = resources
    .resourceFromAttributes({ 'service.name': 'entra-sync', 'service.version': packageVersion() })
    .merge(resources.detectResources({ detectors: [resources.envDetector] }));
  const provider = new sdk.TracerProvider({
    resource,
    sampler: samplerOf(variables, sdk),
    // The exporter reads its own variables.
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter: new OTLPTraceExporter(), scheduledDelayMillis: 2_000 })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
  return {
    remark: remarkOn(variables),
    close: () =>
      Promise.race([provider.shutdown().catch(() => {}), new Promise<void>((end) => setTimeout(end, 1_500).unref())]),
  };
}

function remarkOn({ OTEL_TRACES_EXPORTER: exporter, ...variables }: NodeJS.ProcessEnv): string | undefined {
  const protocol = variables.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || variables.OTEL_EXPORTER_OTLP_PROTOCOL;
  if (exporter && exporter !== 'otlp') return `OTEL_TRACES_EXPORTER ${exporter} is unknown; traces are sent by otlp`;
  if (protocol && protocol !== 'http/protobuf')
    return `OTEL_EXPORTER_OTLP_PROTOCOL ${protocol} is not supported; traces are sent by http/protobuf`;
  return undefined;
}

type Sdk = typeof import('@opentelemetry/sdk-trace');

/** Returns the sampler of the standard variables; all traces without a known one. */
export function samplerOf(
  { OTEL_TRACES_SAMPLER: name = '', OTEL_TRACES_SAMPLER_ARG: ratio }: NodeJS.ProcessEnv,
  sdk: Sdk,
) {
  const part = Number(ratio ?? '1');
  const [base, root] = name.startsWith('parentbased_')
    ? [true, name.slice('parentbased_'.length)]
    : [name === '', name];
  const sampler =
    root === 'always_off'
      ? new sdk.AlwaysOffSampler()
      : root === 'traceidratio' && part >= 0 && part <= 1
        ? new sdk.TraceIdRatioBasedSampler(part)
        : new sdk.AlwaysOnSampler();
  return base ? new sdk.ParentBasedSampler({ root: sampler }) : sampler;
}
