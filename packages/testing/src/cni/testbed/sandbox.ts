import type { JsonObject } from '../../kernel-state/json.ts'
import { atLeast, type CniVersion } from '../spec/versions.ts'
import type { Subject } from '../subject/subject.ts'
import type { Testbed } from './testbed.ts'

/** A sandbox and its place on the tested network. */
export interface Attachment {
  readonly index: number
  readonly containerId: string
  /** The namespace's, for `ip -n`. */
  readonly name: string
  /** `/run/netns/NAME` */
  readonly netns: string
  readonly ifName: string
  /** What a chained plugin finds: the result of whoever made the interface. */
  readonly given?: JsonObject
  /** The last ADD's. */
  result?: JsonObject | undefined
}

/** Makes a sandbox; for a chained plugin with an interface in it. */
export async function makeAttachment(
  testbed: Testbed,
  { role, ifName, plugins }: Subject,
  version: CniVersion,
  name: string,
  index: number,
): Promise<Attachment> {
  const netns = `/run/netns/${name}`
  // As runtimes hand it to the plugin whose task it is, or else as they leave it.
  const loopback = plugins[0].keepsInterface ? '' : `&& ip -n ${name} link set lo up`
  await testbed.sh(`ip netns add ${name} ${loopback}`)
  const attachment = { index, containerId: name, name, netns, ifName }
  if (role !== 'chained') return attachment
  return { ...attachment, given: await makeInterface(testbed, attachment, version) }
}

/** Deletes the sandbox, as a runtime may before it calls DEL. */
export async function deleteSandbox(testbed: Testbed, { name }: Attachment): Promise<void> {
  await testbed.sh(`ip netns delete ${name}`)
}

async function makeInterface(
  testbed: Testbed,
  { index, name, netns, ifName }: Attachment,
  version: CniVersion,
): Promise<JsonObject> {
  const [host, gateway, address] = [`given${index}`, `10.220.${index}.1`, `10.220.${index}.2`]
  const printed = await testbed.sh(`set -e
    ip link add ${host} type veth peer name ${ifName} netns ${name}
    ip addr add ${gateway}/24 dev ${host}
    ip link set ${host} up
    ip -n ${name} addr add ${address}/24 dev ${ifName}
    ip -n ${name} link set ${ifName} up
    ip -n ${name} route add default via ${gateway}
    cat /sys/class/net/${host}/address
    ip -n ${name} -br link show ${ifName} | tr -s ' ' | cut -d ' ' -f 3`)
  const [hostMac, mac] = printed.trim().split('\n')
  return {
    cniVersion: version,
    interfaces: [
      { name: host, mac: hostMac },
      { name: ifName, mac, sandbox: netns },
    ],
    ips: [
      {
        ...(atLeast(version, '1.0.0') ? {} : { version: '4' }),
        address: `${address}/24`,
        gateway,
        interface: 1,
      },
    ],
    routes: [{ dst: '0.0.0.0/0', gw: gateway }],
    dns: {},
  }
}
