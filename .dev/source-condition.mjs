/** A module hook that resolves with the `podwire-source` condition. */
export function resolve(specifier, context, nextResolve) {
  return nextResolve(specifier, {
    ...context,
    conditions: [...context.conditions, 'podwire-source'],
  })
}
