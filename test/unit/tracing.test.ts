// The sampler, by the standard variables of OpenTelemetry.
import * as sdk from '@opentelemetry/sdk-trace';
import { expect, test } from 'vitest';
import { samplerOf } from '../../src/tracing.ts';

test.each([
  [{}, 'ParentBased{root=AlwaysOnSampler'],
  [{ OTEL_TRACES_SAMPLER: 'always_on' }, 'AlwaysOnSampler'],
  [{ OTEL_TRACES_SAMPLER: 'always_off' }, 'AlwaysOffSampler'],
  [{ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, 'ParentBased{root=AlwaysOffSampler'],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }, 'TraceIdRatioBased{0.25}'],
  [
    { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.5' },
    'ParentBased{root=TraceIdRatioBased{0.5}',
  ],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: 'half' }, 'AlwaysOnSampler'],
  [{ OTEL_TRACES_SAMPLER: 'nonsense' }, 'AlwaysOnSampler'],
])('%j', (variables, says) => {
  expect(samplerOf(variables, sdk).toString().slice(0, says.length)).toBe(says);
});
