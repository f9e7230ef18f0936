import type { PolicyRule } from '@podwire/api'
import { errors } from './errors.ts'

/** What `--allow` and `--deny` know besides names and addresses, each as it is written. */
const words: Readonly<Record<string, string>> = {
  metadata: '"metadata"',
  dns: '"dns"',
  gateway: '"gateway"',
  published: 'who comes by a published port, as --isolated and ingress in a file of --policy have it',
}

const otherWords: Readonly<Record<string, string>> = {
  any: '"*"',
  all: '"*"',
  everything: '"*"',
  internet: '"*"',
  pod: '"pod:NAMESPACE/NAME"',
  pods: '"pod:NAMESPACE/*"',
}

/**
 * Refuses what would be taken for a host's name and is most likely a word with a typo: such a rule is about nobody, and nothing else says so.
 * @throws PodwireError `UNLIKELY_HOST`
 */
export async function assertHostsMeant(flag: string, rules: readonly PolicyRule[]): Promise<void> {
  for (const { host } of rules) {
    if (host === undefined || host.includes('.')) continue
    const meant = otherWords[host.toLowerCase()] ?? words[(await nearestWord(host)) ?? '']
    if (meant !== undefined) throw errors.UNLIKELY_HOST({ flag, host, meant })
  }
}

async function nearestWord(host: string): Promise<string | undefined> {
  const { nearest } = await import('@podwire/core')
  return nearest(host, Object.keys(words))
}
