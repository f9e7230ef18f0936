import * as z from 'zod'

/** What a configuration may say under `plugins['{{pluginName}}']`. */
export const options = z.strictObject({
  /** Where CNI plugins are looked for, in this order. */
  binDirs: z.array(z.string()).min(1).default(['/opt/cni/bin', '/usr/lib/cni']),
})

export type Options = z.output<typeof options>
