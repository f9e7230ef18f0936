/** Makes a value when it is first asked for: a schema takes a millisecond to build, and most processes need few. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
