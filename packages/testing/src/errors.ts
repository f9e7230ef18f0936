import { defineErrors } from '@podwire/api'

/** What the fakes say in place of the real thing, by the same codes, and what keeps a kit from starting. */
export const errors = defineErrors({
  UNKNOWN_SANDBOX: {
    message: ({ sandboxId, known }: { sandboxId: string; known: readonly string[] }) =>
      `The fake host has no sandbox "${sandboxId}", only: ${known.join(', ') || 'none'}`,
    remedy: 'Give it a pod in that sandbox, or put the sandbox into its `sandboxes`.',
  },
  NO_NAMESPACES: {
    message: ({ reason }: { reason: string }) =>
      `Plugins are tested in namespaces of their own, and this machine refused them: ${reason}`,
    remedy:
      'Run it as root, or allow user namespaces (sysctl user.max_user_namespaces); it needs util-linux and iproute2.',
    exitCode: 2,
  },
  NO_PACKAGE: {
    message: ({ file, reason }: { file: string; reason: string }) => `No plugin package: ${file}: ${reason}`,
    remedy: 'Name the directory of a package whose package.json has a "podwire" key.',
    exitCode: 2,
  },
  NO_TYPESCRIPT: {
    message: ({ module }: { module: string }) =>
      `${module} is TypeScript, which Node ${process.versions.node} does not run`,
    remedy: 'Install tsx in the package (npm install --save-dev tsx), or name a built file.',
    exitCode: 2,
  },
  UNKNOWN_RULE: {
    message: ({ rule, known }: { rule: string; known: readonly string[] }) =>
      `There is no rule "${rule}". There are: ${known.join(', ')}`,
    exitCode: 2,
  },
})
