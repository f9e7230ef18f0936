import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { getPodIPs, isPodwireError } from '@podwire/api'
import { name } from './name.js'

const run = promisify(execFile)

/**
 * Gives each pod an interface of its own with one address, which nobody outside of the pod reaches: a place to begin.
 *
 * @param {import('./options.js').Options} options
 * @returns {import('@podwire/api').NetworkPlugin}
 */
export function networkPlugin({ address }) {
  /** @type {import('@podwire/api').Host | undefined} */
  let host

  return {
    name,

    async init(given) {
      host = given
    },

    event() {},

    // What it can do beyond an address: see Capability in @podwire/api.
    capabilities: () => 0,

    async setUpPod({ netns }, signal) {
      const isNew = !(await hasInterface(netns, signal))
      try {
        // Both ends stay in the pod: where the other one goes is for you to say.
        if (isNew) await ip(netns, ['link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'other'], signal)
        await ip(netns, ['address', 'replace', address, 'dev', 'eth0'], signal)
        await ip(netns, ['link', 'set', 'eth0', 'up'], signal)
        await ip(netns, ['link', 'set', 'other', 'up'], signal)
      } catch (error) {
        // A call that fails leaves a new pod as it was; the signal may have aborted by now.
        if (isNew) await ip(netns, ['link', 'delete', 'eth0']).catch(() => {})
        throw error
      }
      return { ip: address.slice(0, address.indexOf('/')) }
    },

    async tearDownPod({ sandboxId }, signal) {
      const netns = await host?.getNetNS(sandboxId).catch(() => undefined)
      // What was in a namespace has gone with it.
      if (netns && (await hasInterface(netns, signal).catch(() => false)))
        await ip(netns, ['link', 'delete', 'eth0'], signal)
    },

    async getPodNetworkStatus({ sandboxId }, signal) {
      const netns = await host?.getNetNS(sandboxId).catch(() => undefined)
      if (netns === undefined) return undefined
      const ips = await getPodIPs(netns, 'eth0', { signal }).catch((error) => {
        if (isPodwireError(error) && error.code === 'POD_IP_NOT_FOUND' && !signal.aborted) return []
        throw error
      })
      const [first] = ips
      return first === undefined ? undefined : { ip: first, ips }
    },

    async status() {},
  }
}

/**
 * @param {string} netns
 * @param {AbortSignal} signal
 */
async function hasInterface(netns, signal) {
  const shown = await ip(netns, ['-oneline', 'link', 'show'], signal)
  return /^\d+: eth0[@:]/m.test(shown)
}

/**
 * Runs ip(8) in a network namespace, and returns what it prints.
 *
 * @param {string} netns
 * @param {readonly string[]} args
 * @param {AbortSignal} [signal]
 */
async function ip(netns, args, signal) {
  const { stdout } = await run('nsenter', [`--net=${netns}`, '--', 'ip', ...args], {
    signal,
    timeout: 10_000,
  })
  return stdout
}
