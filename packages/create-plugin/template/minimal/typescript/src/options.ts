import * as z from 'zod'

/** What a configuration may say under `plugins['{{pluginName}}']`. */
export const options = z.strictObject({
  /** What each pod gets, with its prefix length. */
  address: z.cidrv4().default('192.0.2.7/24'),
})

export type Options = z.output<typeof options>
