/** What holds for each key that a configuration leaves out, as a user would write it. */
export const defaults = {
  networkPlugin: '',
  hairpinMode: 'hairpin-veth',
  nonMasqueradeCIDR: '10.0.0.0/8',
  mtu: 0,
  podCIDR: '',
  onMissingCapability: 'error',
  deadlines: {
    init: '30s',
    event: '30s',
    setUpPod: '2m',
    tearDownPod: '2m',
    getPodNetworkStatus: '10s',
    status: '10s',
    checkPod: '30s',
    collectGarbage: '2m',
  },
  stateDir: '/run/podwire',
} as const
