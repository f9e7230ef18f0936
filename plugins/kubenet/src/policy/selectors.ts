import type { PodSelector } from '@podwire/api'

/** What pods are selected by. */
export interface SelectablePod {
  readonly namespace: string
  readonly name: string
  readonly annotations: Readonly<Record<string, string>>
}

/** Whether a rule about these pods is about this one. */
export function isSelected(selectors: readonly (string | PodSelector)[], pod: SelectablePod): boolean {
  return selectors.some((selector) => agrees(selector, pod))
}

function agrees(selector: string | PodSelector, { namespace, name, annotations }: SelectablePod): boolean {
  if (typeof selector === 'string') {
    const [wantedNamespace, wantedName] = selector.split('/')
    return [
      [wantedNamespace, namespace],
      [wantedName, name],
    ].every(([wanted, own]) => wanted === '*' || wanted === own)
  }
  return (
    (selector.namespace === undefined || selector.namespace === namespace) &&
    Object.entries(selector.annotations ?? {}).every(([key, value]) => annotations[key] === value)
  )
}
