/**
 * How long to wait after that many failures in a row, in milliseconds: twice as long each time, up to a longest, and less by a
 * random part, as nodes that failed together are not to ask again together.
 */
export const retryDelay = (failures: number, mostMs: number) =>
  Math.min(mostMs, 100 * 2 ** failures) * (0.5 + Math.random() / 2)
