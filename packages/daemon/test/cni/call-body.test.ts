import { describe, expect, test } from 'vitest'
import { callLimits, parseCallBody } from '../../src/cni/call-body.ts'
import { bodyOf } from './call-door.ts'

describe('the body of a call', () => {
  test('is its variables and its stdin, byte for byte', () => {
    const env = { CNI_COMMAND: 'ADD', CNI_ARGS: 'A=B;C=ü\n=', CNI_IFNAME: '' }
    const call = parseCallBody(bodyOf({ env, stdin: '{"a": "\0"}' }))
    expect(call.env).toEqual(env)
    expect(call.stdin()).toBe('{"a": "\0"}')
    expect(parseCallBody(Buffer.from('\0')).env).toEqual({})
  })

  test('has the first of two variables of one name, as getenv does', () => {
    expect(parseCallBody(Buffer.from('CNI_ARGS=a\0CNI_ARGS=b\0\0')).env).toEqual({ CNI_ARGS: 'a' })
  })

  test.each([
    ['nothing', Buffer.alloc(0), 'cut short'],
    ['no end of its variables', Buffer.from('CNI_COMMAND=ADD\0'), 'cut short'],
    ['half a variable', Buffer.from('CNI_COMMAND=ADD'), 'cut short'],
    ['a variable that is not CNI’s', Buffer.from('PATH=/bin\0\0'), 'not CNI_'],
    ['a variable without a value', Buffer.from('CNI_COMMAND\0\0'), 'not CNI_'],
    ['what is not UTF-8', Buffer.from([...Buffer.from('CNI_ARGS='), 0xff, 0, 0]), 'not UTF-8'],
    [
      'too long a variable',
      bodyOf({ env: { CNI_ARGS: 'x'.repeat(callLimits.variables) }, stdin: '' }),
      'more than',
    ],
    ['too many variables', Buffer.from(`${`CNI_ARGS=${'x'.repeat(1000)}\0`.repeat(66)}\0`), 'more than'],
  ])('is refused where it has %s', (_, body, why) => {
    expect(() => parseCallBody(body)).toThrow(
      expect.objectContaining({ cniCode: 4, message: expect.stringContaining(why) }),
    )
  })

  test.each([
    ['is too long', Buffer.alloc(callLimits.stdin + 1, 'x'), 'more than'],
    ['is not UTF-8', Buffer.from([0x7b, 0xc3, 0x28]), 'not UTF-8'],
  ])('is read though its stdin %s, and says so when that is asked for', (_, stdin, why) => {
    const call = parseCallBody(bodyOf({ env: { CNI_COMMAND: 'DEL' }, stdin }))
    expect(() => call.stdin()).toThrow(
      expect.objectContaining({ cniCode: 6, message: expect.stringContaining(why) }),
    )
  })
})
