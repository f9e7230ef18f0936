import { execFile } from 'node:child_process'
import { isIP } from 'node:net'
import { errors } from './error-table.ts'
import { messageOf } from './errors.ts'

/** Runs a command to its end and returns its combined output; rejects when it fails. Source: `exec.Interface`. */
export type Execer = (file: string, args: readonly string[], signal?: AbortSignal) => Promise<string>

/** How {@link getPodIP} reaches into the namespace. */
export interface GetPodIPOptions {
  readonly execer?: Execer
  /** Default: `nsenter`, from the path. */
  readonly nsenterPath?: string
  readonly signal?: AbortSignal
}

/**
 * The pod's address, without prefix length: its first global IPv4 address, else its first global IPv6 one.
 * Source: `network.GetPodIP`.
 * @throws PodwireError `POD_IP_NOT_FOUND`, with what both commands printed
 */
export async function getPodIP(
  netnsPath: string,
  interfaceName: string,
  options: GetPodIPOptions = {},
): Promise<string> {
  const failures: string[] = []
  for (const family of ['-4', '-6'] as const) {
    try {
      return await getOnePodIP(netnsPath, interfaceName, family, options)
    } catch (error) {
      failures.push(messageOf(error))
    }
  }
  throw errors.POD_IP_NOT_FOUND({ netns: netnsPath, interfaceName, failures })
}

/**
 * The pod's address of each family, IPv4 first.
 * @throws PodwireError `POD_IP_NOT_FOUND` when there is none of either
 */
export async function getPodIPs(
  netnsPath: string,
  interfaceName: string,
  options: GetPodIPOptions = {},
): Promise<string[]> {
  const families = ['-4', '-6'] as const
  const found = await Promise.allSettled(
    families.map((family) => getOnePodIP(netnsPath, interfaceName, family, options)),
  )
  const ips = found.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  if (ips.length > 0) return ips
  const failures = found.flatMap((result) => (result.status === 'rejected' ? [messageOf(result.reason)] : []))
  throw errors.POD_IP_NOT_FOUND({ netns: netnsPath, interfaceName, failures })
}

async function getOnePodIP(
  netnsPath: string,
  interfaceName: string,
  family: '-4' | '-6',
  { execer = runWithNode, nsenterPath = 'nsenter', signal }: GetPodIPOptions,
): Promise<string> {
  const show = ['--', 'ip', '-o', family, 'addr', 'show', 'dev', interfaceName, 'scope', 'global']
  const output = await execer(nsenterPath, [`--net=${netnsPath}`, '-F', ...show], signal)
  const cidr = output.split('\n', 1)[0]?.trim().split(/\s+/)[3]
  const ip = cidr?.split('/')[0] ?? ''
  if (isIP(ip)) return ip
  throw new Error(`ip ${family} addr show dev ${interfaceName} printed no address: ${JSON.stringify(output)}`)
}

const runWithNode: Execer = (file, args, signal) =>
  new Promise((resolve, reject) => {
    execFile(file, [...args], { signal, timeout: 10_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${file} ${args.join(' ')}: ${(stdout + stderr).trim() || error.message}`))
      else resolve(stdout + stderr)
    })
  })
