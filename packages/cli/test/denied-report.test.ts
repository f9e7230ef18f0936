import { EventEmitter } from 'node:events'
import type { NetworkHost } from '@podwire/core'
import { expect, test } from 'vitest'
import { deniedText, watchDenied } from '../src/denied-report.ts'

const at = '2026-01-01T00:00:00.000Z'

test('what was denied is remembered up to a limit for each pod, and that there was more', () => {
  const events = new EventEmitter()
  const watch = watchDenied(events as unknown as NetworkHost['events']) // which is listened to the same way
  const pods = ['flooding', 'other'].map((name) => ({ namespace: 'default', name, sandboxId: name }))
  const [flooding, other] = pods as [(typeof pods)[0], (typeof pods)[0]] // two, as there are two names
  const deny = (pod: typeof flooding, name: string) =>
    events.emit('flow:denied', {
      ...{ plugin: 'x', pod, direction: 'egress', protocol: 'dns', name, rule: 'default' },
      ...{ count: 2, first: at, last: at },
    })
  for (let asked = 0; asked < 10_000; asked++) deny(flooding, `n${asked}.org`)
  deny(flooding, 'n0.org')
  deny(other, 'a.org')
  const told = watch.of(flooding)
  expect({ ...told, flows: told.flows.length }).toEqual({ isIncomplete: true, flows: 4_096 })
  expect(told.flows[0]).toMatchObject({ name: 'n0.org', count: 4 })
  expect(watch.of(other)).toMatchObject({ flows: [{ name: 'a.org', count: 2 }], isIncomplete: false })
  expect(watch.of({ ...other, sandboxId: 'nobody' })).toEqual({ flows: [], isIncomplete: false })
})

test('an allowed name that leads where it must not is told as that, with what lets it, unless nobody should', () => {
  const pod = { namespace: 'default', name: 'web', sandboxId: 's' }
  const leading = (address: string) => {
    const kind = { direction: 'egress', protocol: 'dns', rule: 'address', name: 'db.org', address } as const
    const { what, why } = deniedText({ pod, ...kind, count: 1, first: at, last: at })
    return `${what}${why}`
  }
  expect(leading('203.0.113.80')).toBe(
    'dns db.org leads to 203.0.113.80, which is not a public address: --allow 203.0.113.80 lets it',
  )
  expect(leading('169.254.169.254')).toBe(
    'dns db.org leads to 169.254.169.254, which is not a public address',
  )
})
