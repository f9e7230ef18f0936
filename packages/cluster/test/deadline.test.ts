import { createServer } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { startDeadline } from '../src/deadline.ts'
import { openEtcd } from '../src/etcd/client.ts'
import { afterThis } from './leases/members.ts'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

test('who takes what is asked and never answers is given up, whatever is collected as garbage meanwhile', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  await new Promise((resolve) => silent.once('listening', resolve))
  const { port } = silent.address() as { port: number } // of a TCP server
  const collecting = setInterval(collect, 100)
  const etcd = openEtcd({ endpoints: [`http://127.0.0.1:${port}`] })
  afterThis(() => {
    clearInterval(collecting)
    etcd.close()
    silent.close()
  })
  await expect(etcd.get('/key')).rejects.toMatchObject({
    code: 'ETCD_UNREACHABLE',
    message: expect.stringContaining('no answer in time'),
  })
})

test('a deadline ends early with the signal that it is given, even one that is over', () => {
  const outer = new AbortController()
  const deadline = startDeadline(60_000, outer.signal)
  expect(deadline.signal.aborted).toBe(false)
  outer.abort()
  expect(deadline.signal.aborted).toBe(true)
  deadline.end()
  const late = startDeadline(60_000, outer.signal)
  expect(late.signal.aborted).toBe(true)
  late.end()
})
