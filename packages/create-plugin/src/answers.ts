/** What a package is made of. */
export const kinds = {
  native: 'a link for each pod, made through netlink in process',
  cni: 'a CNI configuration of yours under a name of its own',
  exec: 'an executable, called as the kubelet called its exec plugins',
  minimal: 'the least that sets a pod up, without a dependency on Podwire but the contract',
} as const

export const languages = {
  typescript: 'TypeScript',
  javascript: 'JavaScript, with types in comments',
} as const

export type Kind = keyof typeof kinds
export type Language = keyof typeof languages

/** All that is asked; kept in the package.json that is made, for `--update`. */
export interface Answers {
  readonly packageName: string
  readonly pluginName: string
  readonly description: string
  readonly kind: Kind
  readonly language: Language
}

export const defaults = { kind: 'native', language: 'typescript' } as const

/** The sentence that npm shows, where none is given. */
export function defaultDescription(pluginName: string): string {
  return `The Podwire network plugin ${pluginName}.`
}
