/** A module hook that resolves with the `podwire-source` condition, on the main thread or on one for hooks. */
export function resolve(specifier, context, nextResolve) {
  return nextResolve(specifier, {
    ...context,
    conditions: [...context.conditions, 'podwire-source'],
  })
}
