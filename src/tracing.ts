// OpenTelemetry: what a cycle spends its time on, as spans. Nothing of the SDK is loaded unless its standard variables ask.
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
      // The code alone: a message may name what it is about.
      span.setStatus({ code: SpanStatusCode.ERROR, message: errorCodeOf(error) });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** A span of something that has just ended, below the one that is under way here. */
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
  /** What people should know of it, if anything. */
  readonly remark: string | undefined;
  /** Sends what is left, for a moment: whoever is told to stop has ten seconds for everything. */
  close(): Promise<void>;
};

/** Sends spans by OTLP over HTTP from now on, if the standard variables ask for it. */
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
    // The exporter itself reads where to send to, headers, compression, time and certificates.
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
  if (exporter && exporter !== 'otlp') return `OTEL_TRACES_EXPORTER ${exporter} is not known; traces go out by otlp`;
  if (protocol && protocol !== 'http/protobuf')
    return `OTEL_EXPORTER_OTLP_PROTOCOL ${protocol} is not spoken; traces go out by http/protobuf`;
  return undefined;
}

type Sdk = typeof import('@opentelemetry/sdk-trace');

/** Which traces are taken, by the standard variables; all of them where those say nothing that is known. */
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
