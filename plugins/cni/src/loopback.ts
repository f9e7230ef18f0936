import { parseNetworkConfigList } from '@podwire/libcni'

/** The network that brings `lo` up in every sandbox. 0.4.0 is the oldest version with CHECK. */
export const loopback = parseNetworkConfigList(
  JSON.stringify({ cniVersion: '0.4.0', name: 'cni-loopback', plugins: [{ type: 'loopback' }] }),
  'loopback',
)
