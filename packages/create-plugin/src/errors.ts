import { defineErrors, describeValue, messageOf } from '@podwire/api'

/** All that this package says by itself. */
export const errors = defineErrors({
  BAD_NAME: {
    message: ({ name, problems }: { name: string; problems: readonly string[] }) =>
      `${describeValue(name)} can't be the name of a plugin: ${problems.join('; ')}`,
    remedy: 'Take one such as mysdn or acme.io/mysdn, or a package name such as @acme/podwire-plugin-mysdn.',
    exitCode: 2,
  },
  NOT_EMPTY: {
    message: ({ dir, found }: { dir: string; found: readonly string[] }) =>
      `${dir} is not empty: it has ${found.slice(0, 3).join(', ')}${found.length > 3 ? ' …' : ''}`,
    remedy: 'Name a new directory; or bring a package that was made earlier up to date with --update.',
    exitCode: 2,
  },
  NOT_A_DIRECTORY: {
    message: ({ dir }: { dir: string }) => `${dir} is not a directory`,
    remedy: 'Name a new directory.',
    exitCode: 2,
  },
  BAD_FLAG: {
    message: (about: { flag: string; value: unknown; expected: string }) =>
      `${about.flag}: ${describeValue(about.value)} is not understood; expected ${about.expected}`,
    exitCode: 2,
  },
  CANCELLED: {
    message: () => 'cancelled; nothing was written',
  },
  NOT_MADE_HERE: {
    message: ({ file, problem }: { file: string; problem: string }) => `${file}: ${problem}`,
    remedy: 'Run --update in the directory of a package that create-podwire-plugin has made.',
    exitCode: 2,
  },
  UNCOMMITTED: {
    message: ({ dir }: { dir: string }) => `${dir} has changes that are not committed`,
    remedy: 'Commit them first, so that you can see and undo what is merged; or use --force.',
    exitCode: 2,
  },
  NO_BASE: {
    message: ({ version }: { version: string }, cause: unknown) =>
      `create-podwire-plugin@${version}, which made this package, could not be run again: ${messageOf(cause)}`,
    remedy:
      'What changed is told by comparing with what it wrote; it comes from the npm registry: try again with a network.',
  },
})
