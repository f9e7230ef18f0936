import * as z from 'zod/mini'

/** What a configuration may say under `plugins['{{pluginName}}']`. */
export const options = z.strictObject({
  /** What each pod gets, with its prefix length. */
  address: z._default(z.cidrv4(), '192.0.2.7/24'),
})

export type Options = z.output<typeof options>
