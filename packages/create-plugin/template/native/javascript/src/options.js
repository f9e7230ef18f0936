import * as z from 'zod'

/** What a configuration may say under `plugins['{{pluginName}}']`. */
export const options = z.strictObject({
  /** Of pods' links, in bytes; 0: the kernel's own. */
  mtu: z.int().min(0).max(65_535).default(0),
  /** What pods send everything to. Only they see it: the same address is on this node's end of every link. */
  gateway: z.ipv4().default('169.254.1.1'),
})

/** @typedef {import('zod').output<typeof options>} Options */
