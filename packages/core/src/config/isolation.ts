/** Where plugin packages run: in the host's process, each in one of its own, or those that aren't Podwire's own in one. */
export type IsolationMode = 'none' | 'process' | 'third-party'

/** What a configuration says of it: one mode, or one for each package by its conventional name, others as by default. */
export type Isolation = IsolationMode | Readonly<Record<string, 'none' | 'process'>>

/** Whether a package runs in a process of its own. */
export function isIsolated(
  { packageName, key }: { readonly packageName: string; readonly key: string },
  configured: Isolation | undefined,
  byDefault: IsolationMode,
): boolean {
  const stated = typeof configured === 'object' ? own(configured, key) : configured
  const mode = stated ?? byDefault
  return mode === 'process' || (mode === 'third-party' && !packageName.startsWith('@podwire/'))
}

function own<T>(object: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}
