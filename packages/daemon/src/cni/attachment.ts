import { hash } from 'node:crypto'
import { type AttachmentRequest, parseCniArgs } from '@podwire/libcni/plugin'

/** What names one attachment among all: a container has an interface of a name once. */
export type AttachmentId = Pick<AttachmentRequest, 'containerId' | 'ifName'>

/** The id of an attachment's sandbox: the same for every call about it, and 128 bits of a hash keep any two apart. */
export function sandboxIdOf({ containerId, ifName }: AttachmentId): string {
  const digest = hash('sha256', `cni ${containerId} ${ifName}`).slice(0, 32)
  return `${containerId.slice(0, 24)}-${digest}`
}

/** What a runtime says of an attachment besides its configuration. */
export interface AttachmentArgs {
  readonly namespace: string
  readonly name: string
  readonly podUid?: string
  /** Addresses and MAC that are asked for by the older convention. */
  readonly ips: readonly string[]
  readonly mac?: string
}

const known = [
  'K8S_POD_NAMESPACE',
  'K8S_POD_NAME',
  'K8S_POD_UID',
  'K8S_POD_INFRA_CONTAINER_ID',
  'IP',
  'MAC',
] as const

/** The namespace of pods that their runtime gives no names. */
const NAMELESS = 'cni'

/**
 * Reads CNI_ARGS. A runtime that isn't Kubernetes' may call its containers what no pod may be called; those get a name that
 * says so, and that no other has.
 * @throws CniError 4
 */
export function readArgs({
  args,
  containerId,
}: Pick<AttachmentRequest, 'args' | 'containerId'>): AttachmentArgs {
  const given = parseCniArgs(args, known)
  const {
    K8S_POD_NAMESPACE: namespace = '',
    K8S_POD_NAME: name = '',
    K8S_POD_UID: podUid,
    IP: ip,
    MAC: mac,
  } = given
  return {
    namespace: namespace === '' ? NAMELESS : safeName(namespace, 63, /[^a-z0-9-]+/g),
    name: safeName(name === '' ? containerId : name, 253, /[^a-z0-9.-]+/g),
    ...(podUid ? { podUid } : {}),
    ips: ip ? ip.split(',').map((one) => one.trim()) : [],
    ...(mac ? { mac } : {}),
  }
}

const label = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/

function safeName(text: string, longest: number, unsafe: RegExp): string {
  if (text.length <= longest && text.split('.').every((part) => label.test(part)) && !unsafe.test(text))
    return text
  unsafe.lastIndex = 0
  const readable = text
    .toLowerCase()
    .replaceAll(unsafe, '-')
    .slice(0, 40)
    .split('.')
    .map((part) => part.replaceAll(/^-+|-+$/g, ''))
    .filter((part) => part !== '')
    .join('.')
  const digest = hash('sha256', text).slice(0, 8)
  return readable === '' ? digest : `${readable}-${digest}`
}
