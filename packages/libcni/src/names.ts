import { badArgument, CniCode } from './errors.ts'

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

/** @throws CniError `ERR_CNI_ARGUMENT`, 3 where it is missing and 4 where it breaks the rules */
export function checkContainerId(id: string): void {
  if (id === '') throw badArgument(CniCode.unknownContainer, 'missing containerID', id)
  if (!namePattern.test(id))
    throw badArgument(CniCode.invalidEnvironment, 'invalid characters in containerID', id)
}

/** @throws CniError `ERR_CNI_ARGUMENT` (7) */
export function checkNetworkName(name: string): void {
  if (name === '') throw badArgument(CniCode.invalidConfig, 'missing network name', name)
  if (!namePattern.test(name))
    throw badArgument(CniCode.invalidConfig, 'invalid characters found in network name', name)
}

/** @throws CniError `ERR_CNI_ARGUMENT` (4) */
export function checkInterfaceName(name: string): void {
  const problem = interfaceNameProblem(name)
  if (problem) throw badArgument(CniCode.invalidEnvironment, problem, name)
}

function interfaceNameProblem(name: string): string | undefined {
  if (name === '') return 'interface name is empty'
  if (Buffer.byteLength(name) > 15) return 'interface name is too long, it may have 15 bytes'
  if (name === '.' || name === '..') return 'interface name is . or ..'
  if (/[/:\s\0]/.test(name)) return 'interface name contains / or : or whitespace characters'
  return undefined
}
