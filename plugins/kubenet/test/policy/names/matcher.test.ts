import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createNameMatcher, parseNamePattern } from '../../../src/policy/names/matcher.ts'

const label63 = 'a'.repeat(63)
/** 253 characters. */
const longest = `${label63}.${label63}.${label63}.${'a'.repeat(61)}`

describe('hosts of a policy', () => {
  it.each([
    ['registry.npmjs.org', 'registry.npmjs.org'],
    ['Registry.NPMJS.org.', 'registry.npmjs.org'],
    ['localhost', 'localhost'],
    ['_acme-challenge.example.org', '_acme-challenge.example.org'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER.example.', 'xn--bcher-kva.example'],
    ['例え。テスト', 'xn--r8jz45g.xn--zckzah'],
    ['1.example', '1.example'],
    ['3com', '3com'],
    [longest, longest],
  ])('"%s" is %s', (text, name) => {
    expect(parseNamePattern(text)).toEqual({ name, wildcard: false })
  })

  it('has a wildcard as its first label', () => {
    expect(parseNamePattern('*.NPMJS.org')).toEqual({ name: 'npmjs.org', wildcard: true })
    expect(parseNamePattern('*.bücher.example')).toEqual({ name: 'xn--bcher-kva.example', wildcard: true })
  })

  it.each([
    '',
    '.',
    '*',
    '*.',
    '**.org',
    '*.*.org',
    'a.*.org',
    'a*.org',
    '*a.org',
    'org.*',
    'a..org',
    '.org',
    'org..',
  ])('"%s" is refused', (text) => expect(parseNamePattern(text)).toHaveProperty('problem'))

  it.each([
    '-a.org',
    'a-.org',
    'a b.org',
    'a/b.org',
    'http://a.org',
    'a.org:443',
    'a\0.org',
    'user@a.org',
    'a\\.org',
  ])('"%s" is not a host name', (text) =>
    expect(parseNamePattern(text)).toEqual({ problem: 'is not a host name' }),
  )

  it.each([
    '1.2.3.4',
    '1.2.3',
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '１２７.0.0.1',
    '*.1.2.3',
    'a.0x',
  ])('"%s" is an address', (text) =>
    expect(parseNamePattern(text)).toHaveProperty('problem', expect.stringContaining('cidr')),
  )

  it.each(['::1', '[::1]', '2001:db8::1'])('"%s" is not a host name', (text) =>
    expect(parseNamePattern(text)).toHaveProperty('problem'),
  )

  it('is no longer than DNS lets a name be', () => {
    expect(parseNamePattern(`${longest}a`)).toHaveProperty('problem', expect.stringContaining('253'))
    expect(parseNamePattern(`*.${longest}`)).toHaveProperty('problem', expect.stringContaining('253'))
    expect(parseNamePattern(`${label63}a.org`)).toHaveProperty('problem', expect.stringContaining('63'))
  })

  it('is a pattern or a problem, whatever the text, and a pattern is one again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const parsed = parseNamePattern(text)
        if ('problem' in parsed) return
        expect(parseNamePattern(parsed.name)).toEqual({ name: parsed.name, wildcard: false })
      }),
    )
  })
})

describe('which patterns a name matches', () => {
  const matcherOf = (...texts: string[]) =>
    createNameMatcher(
      texts.map((text) => {
        const pattern = parseNamePattern(text)
        if ('problem' in pattern) throw new Error(`${text} ${pattern.problem}`)
        return [pattern, text] as const
      }),
    )

  it('is the name alone, in any case, with or without a dot at its end', () => {
    const match = matcherOf('Registry.npmjs.org')
    expect(match('registry.npmjs.org')).toEqual(['Registry.npmjs.org'])
    expect(match('REGISTRY.npmjs.ORG.')).toEqual(['Registry.npmjs.org'])
    for (const other of [
      'npmjs.org',
      'a.registry.npmjs.org',
      'xregistry.npmjs.org',
      'registry.npmjs.org.evil',
      '.',
      '',
    ])
      expect(match(other)).toEqual([])
  })

  it('is one label or more in the place of a wildcard, not none', () => {
    const match = matcherOf('*.npmjs.org')
    expect(match('registry.npmjs.org')).toEqual(['*.npmjs.org'])
    expect(match('a.b.c.npmjs.org.')).toEqual(['*.npmjs.org'])
    for (const other of ['npmjs.org', '.npmjs.org', 'evilnpmjs.org', 'npmjs.org.evil.org', 'org'])
      expect(match(other)).toEqual([])
  })

  it('is all of them, the closest first', () => {
    const match = matcherOf('*.org', '*.npmjs.org', 'registry.npmjs.org', 'registry.npmjs.org')
    const both = ['registry.npmjs.org', 'registry.npmjs.org', '*.npmjs.org', '*.org']
    expect(match('registry.npmjs.org')).toEqual(both)
    expect(match('a.npmjs.org')).toEqual(['*.npmjs.org', '*.org'])
  })

  it('takes as long for 10,000 patterns as for one', () => {
    const many = matcherOf(...Array.from({ length: 10_000 }, (_, at) => `*.host-${at}.example`))
    const started = performance.now()
    for (let i = 0; i < 10_000; i++) many(`a.b.host-${i}.example`)
    // A look at each would be 100 million.
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})
