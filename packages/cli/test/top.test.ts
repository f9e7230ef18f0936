import { expect, test } from 'vitest'
import { formatRate, parseCounters, ratesBetween } from '../src/top/traffic.ts'

const dev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9999999      10    0    0    0     0          0         0  9999999      10    0    0    0     0       0          0
  eth0:    1000      10    0    0    0     0          0         0     2000      10    0    0    0     0       0          0
  net1:      24       1    0    0    0     0          0         0       48       1    0    0    0     0       0          0
`

test('traffic is that of all interfaces but the loopback', () => {
  expect(parseCounters(dev)).toEqual({ received: 1024, sent: 2048 })
  expect(parseCounters('')).toEqual({ received: 0, sent: 0 })
})

test('a rate is in bits per second, and never negative', () => {
  const at = (received: number, sent: number, ms: number) => ({ received, sent, at: ms })
  expect(ratesBetween(at(0, 0, 0), at(1000, 500, 2000))).toEqual({ received: 4000, sent: 2000 })
  // A pod that was set up anew counts from zero.
  expect(ratesBetween(at(1000, 1000, 0), at(0, 0, 1000))).toEqual({ received: 0, sent: 0 })
  expect(ratesBetween(undefined, at(1, 1, 1))).toBeUndefined()
})

test.each([
  [0, '0'],
  [999, '999'],
  [1500, '1.5k'],
  [20_000_000, '20M'],
  [1_250_000_000, '1.3G'],
])('%s bit/s reads %s', (bits, text) => expect(formatRate(bits)).toBe(text))
