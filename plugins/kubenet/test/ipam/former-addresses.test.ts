import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openClaims } from '../../src/ipam/claims.ts'
import { openFormerAddresses } from '../../src/ipam/former-addresses.ts'

describe('addresses that somebody had before', () => {
  let dir = ''
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'kubenet-'))
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  /** As another process has them. */
  function open() {
    const former = openFormerAddresses(dir)
    const claims = openClaims(dir, former)
    return {
      former,
      claims,
      live(address: string) {
        claims.claim(address, 'pod')
        claims.release(address, 'pod')
      },
      sweep: () => former.beginSweep(['10.88.0.0/16', 'fd88::/64']),
      finish: (sweep: ReturnType<typeof former.beginSweep>) =>
        sweep.finish((address) => claims.ownerOf(address) === undefined),
    }
  }

  it('are fresh when their network was swept and nobody had them since, in whatever process', () => {
    const [here, there] = [open(), open()]
    expect(here.former.isFresh('10.88.0.2')).toBe(false)
    here.finish(here.sweep())
    for (const address of ['10.88.0.2', 'fd88::2']) expect(here.former.isFresh(address)).toBe(true)
    expect(here.former.isFresh('10.89.0.2')).toBe(false)
    there.live('10.88.0.2')
    expect(here.former.isFresh('10.88.0.2')).toBe(false)
    expect(here.former.isFresh('10.88.0.3')).toBe(true)
    // What went on before it came is nothing that it knows.
    expect(there.former.isFresh('10.88.0.3')).toBe(false)
    here.finish(here.sweep())
    expect(here.former.isFresh('10.88.0.2')).toBe(true)
    here.former.forgetSweeps()
    expect(here.former.isFresh('10.88.0.3')).toBe(false)
  })

  it('are not fresh, and nothing is harmed, where something else is in the place of what is remembered', () => {
    const { former, live, sweep, finish } = open()
    finish(sweep())
    live('10.88.0.2')
    const victim = join(dir, 'victim')
    mkdirSync(victim)
    writeFileSync(join(victim, 'last'), 'precious')
    symlinkSync(victim, join(dir, 'former-addresses/10.88.0.3'))
    writeFileSync(join(dir, 'former-addresses/10.88.0.4'), '')
    for (const address of ['10.88.0.3', '10.88.0.4']) expect(former.isFresh(address)).toBe(false)
    finish(sweep())
    for (const address of ['10.88.0.3', '10.88.0.4']) expect(former.isFresh(address)).toBe(true)
    expect(readdirSync(victim)).toEqual(['last'])
  })

  it('are not fresh where somebody had them during a sweep, or has them still', () => {
    const { former, claims, live, sweep, finish } = open()
    finish(sweep())
    live('10.88.0.2')
    live('10.88.0.3')
    const begun = sweep()
    live('10.88.0.2')
    claims.claim('10.88.0.3', 'pod')
    live('10.88.0.4')
    finish(begun)
    claims.release('10.88.0.3', 'pod')
    for (const address of ['10.88.0.2', '10.88.0.3', '10.88.0.4'])
      expect(former.isFresh(address), address).toBe(false)
  })

  it('are not fresh when a sweep was cut short', () => {
    const first = open()
    first.finish(first.sweep())
    first.live('10.88.0.2')
    first.sweep()
    expect(open().former.isFresh('10.88.0.2')).toBe(false)
    const next = open()
    next.finish(next.sweep())
    expect(next.former.isFresh('10.88.0.2')).toBe(true)
  })

  it('are swept anew when they become many, and a sweep that began before says nothing of them', () => {
    const { former, live, sweep, finish } = open()
    finish(sweep())
    const begun = sweep()
    for (let pod = 0; pod < 520; pod++) live(`10.88.${2 + (pod >> 8)}.${pod & 255}`)
    finish(begun)
    expect(former.isFresh('10.88.2.0')).toBe(false)
    expect(former.isFresh('10.88.9.9')).toBe(false)
    expect(readdirSync(join(dir, 'former-addresses')).length).toBeLessThan(20)
    finish(sweep())
    expect(former.isFresh('10.88.2.0')).toBe(true)
    expect(readdirSync(join(dir, 'former-addresses'))).toEqual([])
  })

  it('are no longer known when one can not be remembered, which is given back all the same', () => {
    const { former, claims, sweep, finish } = open()
    finish(sweep())
    claims.claim('10.88.0.2', 'pod')
    // In place of a directory.
    rmSync(join(dir, 'former-addresses'), { recursive: true, force: true })
    writeFileSync(join(dir, 'former-addresses'), '')
    claims.release('10.88.0.2', 'pod')
    expect(claims.claimed()).toEqual([])
    expect(former.isFresh('10.88.0.3')).toBe(false)
  })
})
