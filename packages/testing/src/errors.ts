import { defineErrors } from '@podwire/api'

/** What a fake says in place of the real thing, by the same codes. */
export const errors = defineErrors({
  UNKNOWN_SANDBOX: {
    message: ({ sandboxId, known }: { sandboxId: string; known: readonly string[] }) =>
      `The fake host has no sandbox "${sandboxId}", only: ${known.join(', ') || 'none'}`,
    remedy: 'Give it a pod in that sandbox, or put the sandbox into its `sandboxes`.',
  },
})
