import * as z from 'zod/mini'

/** What a configuration may say under `plugins['{{pluginName}}']`. */
export const options = z.strictObject({
  /** Where CNI plugins are looked for, in this order. */
  binDirs: z._default(z.array(z.string()).check(z.minLength(1)), ['/opt/cni/bin', '/usr/lib/cni']),
})

/** @typedef {import('zod').output<typeof options>} Options */
