// What the plugins of these tests have in common: they do all that the spec demands, but for the one rule whose ID is in
// BREAKS.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'

const versions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0']

/** Whether this rule is to be broken. */
export const breaks = (rule) => process.env.BREAKS === rule

/** Thrown for an error with a code of the spec. */
export function failure(code, msg, details = '') {
  return Object.assign(new Error(msg), { code, details })
}

export const atLeast = (version, since) => versions.indexOf(version) >= versions.indexOf(since)

/** Runs a command, with an error that says what it said. */
export function run(file, ...args) {
  try {
    return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    throw failure(999, `${file} ${args.join(' ')}: ${String(error.stderr).trim()}`)
  }
}

export const runJson = (file, ...args) => JSON.parse(run(file, ...args) || '[]')

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const required = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  GC: [],
  STATUS: [],
}

/** Serves one call with the commands of `plugin`. */
export async function serve(plugin) {
  let cniVersion = '1.1.0'
  try {
    if (breaks('cni-version-alone') && !process.env.CNI_PATH) throw failure(4, 'CNI_PATH is missing')
    const answer = await answerTo(plugin, (version) => {
      cniVersion = version
    })
    if (answer !== undefined) console.log(typeof answer === 'string' ? answer : JSON.stringify(answer))
  } catch ({ code = 999, message: msg, details = '' }) {
    const number = typeof code === 'number' ? code : 999
    if (breaks('cni-error-shape')) console.log(`error: ${msg}`)
    else
      console.log(
        JSON.stringify({
          ...(breaks('cni-error-version') ? {} : { cniVersion }),
          code: number,
          msg,
          details,
        }),
      )
    process.exitCode = 1
  }
}

async function answerTo(plugin, speak) {
  const { CNI_COMMAND: command = '', CNI_CONTAINERID: id, CNI_NETNS: netns, CNI_IFNAME: ifName } = process.env
  const stdin = readFileSync(0, 'utf8')
  const lenient = (rule) => breaks(rule) && { cniVersion: '1.0.0', interfaces: [], ips: [] }
  if (command === 'VERSION') return versionAnswer(stdin)
  if (!Object.hasOwn(required, command)) {
    if (breaks('cni-command-unknown')) return {}
    throw failure(breaks('cni-command-unknown-code') ? 999 : 4, `CNI_COMMAND is unknown: ${command}`)
  }
  const missing = required[command].filter((name) => !process.env[name])
  if (missing.length > 0) {
    if (breaks(`cni-env-${command.toLowerCase()}-missing`)) return {}
    const named = breaks('cni-env-missing-named') ? 'something' : missing.join(', ')
    throw failure(breaks('cni-env-missing-code') ? 7 : 4, `missing: ${named}`)
  }
  if (id !== undefined && !/^[a-zA-Z0-9][\w.-]*$/.test(id))
    return lenient('cni-env-containerid-invalid') || fail(4, `CNI_CONTAINERID is invalid: ${id}`)
  if (ifName !== undefined && !/^[^/:\s]{1,15}$/.test(ifName))
    return lenient('cni-env-ifname-unusable') || fail(4, `CNI_IFNAME is invalid: ${ifName}`)
  let config
  try {
    config = JSON.parse(stdin)
    if (typeof config !== 'object' || config === null || Array.isArray(config))
      throw new Error('not an object')
  } catch (error) {
    return lenient('cni-config-bad-json') || fail(breaks('cni-config-bad-json-code') ? 7 : 6, error.message)
  }
  if (!versions.includes(config.cniVersion)) {
    return (
      lenient('cni-config-version-unsupported') ||
      fail(
        breaks('cni-config-version-unsupported-code') ? 7 : 1,
        `cniVersion is not supported: ${config.cniVersion}`,
      )
    )
  }
  speak(config.cniVersion)
  if (!/^[a-zA-Z0-9][\w.-]*$/.test(config.name ?? ''))
    return lenient('cni-config-no-name') || fail(7, `name is invalid: ${config.name}`)
  if (breaks('cni-config-unknown-key') && 'x-unheard-of' in config) fail(7, 'no')
  if (breaks('cni-config-args-ignored') && 'args' in config) fail(7, 'args are not understood')
  if (breaks('cni-args-ignore-unknown') && process.env.CNI_ARGS) fail(4, `CNI_ARGS: ${process.env.CNI_ARGS}`)
  const request = { config, id, netns, ifName, owner: `${id}@${ifName}`, version: config.cniVersion }
  return plugin[command.toLowerCase()]?.(request)
}

function versionAnswer(stdin) {
  const { cniVersion } = JSON.parse(stdin)
  if (breaks('cni-version-answers')) return { cniVersion, supportedVersions: '1.0.0' }
  return { cniVersion: breaks('cni-version-echo') ? '1.0.0' : cniVersion, supportedVersions: versions }
}

function fail(...args) {
  throw failure(...args)
}

/** The addresses of a result as the version has them. */
export function ipsFor(version, ips) {
  if (atLeast(version, '1.0.0')) return ips
  return ips.map((ip) => ({ version: String(isIP(ip.address.split('/')[0])), ...ip }))
}

// The packet filter's rules of an owner are found by their comment.

/** Makes a rule; table and chain are made on first use and stay. */
export function addRule(owner, address) {
  run(
    'nft',
    `add table ip test; add chain ip test out; add rule ip test out ip saddr ${address} counter comment "${owner}"`,
  )
}

/** All rules: owner and handle. */
export function listRules() {
  let listed
  try {
    listed = runJson('nft', '-j', 'list', 'chain', 'ip', 'test', 'out')
  } catch {
    return []
  }
  return listed.nftables.flatMap(({ rule }) => (rule ? [{ owner: rule.comment, handle: rule.handle }] : []))
}

/** Deletes the rules of which `isStale` says so. */
export function deleteRules(isStale) {
  for (const { handle } of listRules().filter(({ owner }) => isStale(owner)))
    run('nft', `delete rule ip test out handle ${handle}`)
}

/** Whether a GC's request no longer lists this owner. */
export function staleBy({ config }) {
  const valid = (config['cni.dev/valid-attachments'] ?? []).map(
    ({ containerID, ifname }) => `${containerID}@${ifname}`,
  )
  return (owner) => !valid.includes(owner)
}
