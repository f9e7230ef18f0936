import * as z from 'zod'

/** What a configuration may say under `plugins['{{pluginName}}']`. */
export const options = z.strictObject({
  /** Another executable than that of this package; relative to the configuration file. */
  executable: z.string().min(1).optional(),
})

/** @typedef {import('zod').output<typeof options>} Options */
