/** How long a start waits for what answers late, or never. Milliseconds. */
const patienceMs = 2_000

/**
 * Waits for a first attempt, whatever comes of it, but not for long: a daemon that starts beside an etcd or an API server that takes
 * connections and answers none has pods to look after.
 */
export async function firstAttempt(attempt: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs)
  })
  await Promise.race([attempt, patience])
  clearTimeout(timer)
}
