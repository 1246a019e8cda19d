// Whether the viewer manages the person of the address.
import { asGuid } from '../../rules/decode.ts';
import type { Contract } from '../contract-page.ts';
import type { View } from '../page.ts';

/** Returns the account of the address if the viewer manages it now. Throws `ContractRefusal`. */
export async function managedId(contract: Contract, { params, viewer }: View<unknown>): Promise<string | undefined> {
  const account = asGuid(params.account ?? '');
  if (account === undefined) return undefined;
  const [found] = await contract.rows<{ via: string | null }>('select directory.manages(:manager, :account) as via', {
    manager: viewer.accountId,
    account,
  });
  return found?.via ? account : undefined;
}
