// Prints what an address answers: fetch.mjs ADDRESS[:PORT]. It tries for ten seconds.
import { isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const [address = ''] = process.argv.slice(2)
const url = `http://${isIPv6(address) ? `[${address}]` : address}/`
for (const end = Date.now() + 10_000; ; ) {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    process.stdout.write(await answer.text())
    break
  } catch (error) {
    if (Date.now() > end) throw error
    await sleep(200)
  }
}
