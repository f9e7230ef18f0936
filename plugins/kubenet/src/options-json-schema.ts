/** What each option is, as JSON Schema: for editors and the documentation. */
export const optionProperties = {
  datapath: {
    enum: ['routed', 'bridge'],
    default: 'routed',
    description: 'How pods are connected from now on; those that run stay as they are.',
  },
  bridge: {
    type: 'string',
    default: 'cbr0',
    description: "The bridge's name; each state directory has one of its own.",
  },
  exclude: {
    type: 'array',
    items: { type: 'string' },
    default: [],
    description: 'Addresses, ranges and CIDRs that no pod gets, except one that asks for it by annotation.',
  },
  nameServers: {
    type: 'array',
    items: { type: 'string' },
    default: [],
    description: 'Whom the resolver of pods with names in their policy asks. None: whom the host asks.',
  },
  connections: {
    type: 'integer',
    minimum: 0,
    default: 8192,
    description:
      'How many connections a pod may have open that it began itself. 0: as many as the kernel takes.',
  },
  repairInterval: {
    anyOf: [{ type: 'string' }, { const: 0 }],
    default: '30s',
    description: 'How often to look for what someone else deleted. 0: only when asked.',
  },
}
