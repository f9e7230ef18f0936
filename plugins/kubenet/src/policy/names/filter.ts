import { type AddressKind, createHostAddresses, kindOfAddress } from './addresses.ts'
import { type DnsRecord, TYPE } from './wire.ts'

/** What a pod gets of an answer. */
interface Filtered {
  readonly records: readonly DnsRecord[]
  /** Those that it may connect to from now on. */
  readonly addresses: readonly string[]
  /** Those kept from it. */
  readonly refused: readonly { readonly address: string; readonly kind: AddressKind }[]
}

/**
 * @param permits whether an address that is not the internet's may be told all the same
 * @param follows whether the pod may ask for a name that a service's record leads to
 */
export type Filter = (
  records: readonly DnsRecord[],
  permits: (address: string) => boolean,
  follows: (name: string) => boolean,
) => Filtered

/**
 * Addresses that only a host or its network knows by themselves are taken out, so that a name of the internet can't be made to
 * lead there. Addresses come in A and AAAA records alone: hints of them in service records are taken out too, as nothing opens
 * the way to them. What else a record says, a pod may know: going there takes a question for an address.
 */
export function createFilter(): Filter {
  const isOfHost = createHostAddresses()
  return (records, permits, follows) => {
    const [addresses, refused]: [string[], { address: string; kind: AddressKind }[]] = [[], []]
    const kept: DnsRecord[] = []
    for (const record of records) {
      const { address } = record
      if (record.type === TYPE.SVCB || record.type === TYPE.HTTPS) {
        const bare = withoutHints(record.rdata, follows)
        if (bare) kept.push({ ...record, rdata: bare })
      } else if (address === undefined) kept.push(record)
      else {
        const kind = kindOfAddress(record.rdata) ?? (isOfHost(address) ? 'host' : undefined)
        if (kind && !permits(address)) refused.push({ address, kind })
        else {
          addresses.push(address)
          kept.push(record)
        }
      }
    }
    return { records: kept, addresses, refused }
  }
}

/** RFC 9460. */
const PARAMETER = { mandatory: 0, ipv4hint: 4, ipv6hint: 6 } as const
const isHint = (key: number) => key === PARAMETER.ipv4hint || key === PARAMETER.ipv6hint

/** Undefined for a record that is broken, can't do without its hints, or leads to a name that the pod may not ask for. */
function withoutHints(rdata: Buffer, follows: (name: string) => boolean): Buffer | undefined {
  const target = readTarget(rdata)
  if (!target || (target.name !== '' && !follows(target.name))) return undefined
  const kept = [rdata.subarray(0, target.end)]
  for (let at = target.end; at < rdata.length; ) {
    if (at + 4 > rdata.length) return undefined
    const [key, length] = [rdata.readUInt16BE(at), rdata.readUInt16BE(at + 2)]
    const end = at + 4 + length
    if (end > rdata.length) return undefined
    if (key === PARAMETER.mandatory)
      for (let i = at + 4; i + 2 <= end; i += 2) if (isHint(rdata.readUInt16BE(i))) return undefined
    if (!isHint(key)) kept.push(rdata.subarray(at, end))
    at = end
  }
  return Buffer.concat(kept)
}

/** The name after the priority, which is never compressed; empty where the record means its own owner. */
function readTarget(rdata: Buffer): { name: string; end: number } | undefined {
  const labels: string[] = []
  for (let at = 2; ; ) {
    const length = rdata[at]
    if (length === undefined || length > 63 || at + 1 + length > rdata.length || at > 256) return undefined
    if (length === 0) return { name: labels.join('.').toLowerCase(), end: at + 1 }
    labels.push(rdata.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
}
