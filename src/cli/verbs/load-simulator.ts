// Loads the simulated tenant, which the image leaves out.
import { ExpectedError } from '../../errors.ts';

/** Loads the simulator. Throws `usage` where this installation has none. */
export async function loadSimulator(
  load = () => import('../../simulator/index.ts'),
): Promise<typeof import('../../simulator/index.ts')> {
  try {
    return await load();
  } catch (cause) {
    if ((cause as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new ExpectedError('usage', 'this installation has no simulated tenant', {
      cure: 'build the image with --target simulated, or install with: npm install --include=optional',
      cause,
    });
  }
}
