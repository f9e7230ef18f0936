import { readFile, stat } from 'node:fs/promises'
import { messageOf, type Policy } from '@podwire/api'
import { errors } from '../errors.ts'
import { isNetworkPolicy, type LabelledPod, policyOfKubernetes } from './kubernetes.ts'
import { parsePolicy } from './policy.ts'

/**
 * The policy in a file, as YAML or JSON: Podwire's own, or one or several of Kubernetes' NetworkPolicy objects.
 * @param pod whom it is for; its annotations stand for Kubernetes' labels
 * @throws PodwireError `POLICY_FILE`
 */
export async function policyFromFile(file: string, pod: LabelledPod): Promise<Policy> {
  const fail = (reason: string, cause?: unknown) => errors.POLICY_FILE({ file, reason }, cause)
  const documents = await documentsIn(file).catch((cause: unknown) => {
    throw fail(`it can't be read: ${messageOf(cause)}`, cause)
  })
  const [only] = documents
  if (documents.length > 0 && documents.every(isNetworkPolicy)) {
    const converted = policyOfKubernetes(documents, pod)
    if (typeof converted === 'string') throw fail(converted)
    return checked(converted)
  }
  if (documents.length !== 1)
    throw fail(
      documents.length === 0
        ? 'it is empty'
        : 'it has several documents, not all of them NetworkPolicy objects',
    )
  const policy = checked(only)
  // As an empty file would: whoever names one wants something to hold.
  if (!policy.egress && !policy.ingress) throw fail('it says nothing: give egress or ingress')
  return policy

  function checked(written: unknown): Policy {
    const parsed = parsePolicy(written)
    if (!parsed.policy) throw fail(parsed.problems.join('; '))
    return parsed.policy
  }
}

async function documentsIn(file: string): Promise<unknown[]> {
  // A pipe or a device would be waited for, and not end.
  if (!(await stat(file)).isFile()) throw new Error('it is not a regular file')
  const { parseAllDocuments } = await import('yaml')
  const documents: unknown[] = []
  // JSON is YAML too.
  for (const document of parseAllDocuments(await readFile(file, 'utf8'))) {
    const [error] = document.errors
    if (error) throw new Error(error.message.split('\n', 1)[0])
    const value: unknown = document.toJS()
    if (value !== null) documents.push(value)
  }
  return documents
}
