// The simulated tenant where it is, and where the image leaves it out.
import { expect, test } from 'vitest';
import { loadSimulator } from '../../src/cli/verbs/load-simulator.ts';

test('an installation without the simulated tenant says how to get it, and a defect of it stays one', async () => {
  expect(await loadSimulator()).toHaveProperty('startSimulator');
  const missing = Object.assign(new Error('Cannot find module'), { code: 'ERR_MODULE_NOT_FOUND' });
  await expect(loadSimulator(() => Promise.reject(missing))).rejects.toMatchObject({
    code: 'usage',
    cure: expect.stringContaining('--target simulated'),
  });
  await expect(loadSimulator(() => Promise.reject(new TypeError('a defect')))).rejects.toThrow(TypeError);
});
