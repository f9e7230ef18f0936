import { readFileIfThere } from '@podwire/api/files'
import { errors } from './errors.ts'

/**
 * The number of a group: of a name in /etc/group, or as it is given.
 * @throws PodwireError `UNKNOWN_GROUP`
 */
export function groupId(group: string): number {
  if (/^\d{1,10}$/.test(group)) return Number(group)
  const line = (readFileIfThere('/etc/group') ?? '').split('\n').find((one) => one.startsWith(`${group}:`))
  const [, , id = ''] = line?.split(':') ?? []
  if (/^\d{1,10}$/.test(id)) return Number(id)
  throw errors.UNKNOWN_GROUP({ group })
}
