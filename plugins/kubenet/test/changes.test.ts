import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { expect, it } from 'vitest'
import { describeDatapaths, never, nothing, run, useMachine } from './support/machine.ts'
import { wait } from './support/peer.ts'

const root = new URL('../../..', import.meta.url).pathname
const port = (hostPort: number, more: object = {}) => ({
  hostPort,
  containerPort: 80,
  protocol: 'tcp' as const,
  ...more,
})

describeDatapaths('a change of a pod that runs (%s)', (datapath) => {
  const machine = useMachine(datapath)
  const limits = (ingress: string) => ({ annotations: { 'kubernetes.io/ingress-bandwidth': ingress } })
  const published = () =>
    [...run('nft', ['list', 'map', 'inet', machine.table, 'ports4']).matchAll(/(\d+) : 10\./g)].map(
      ([, number]) => Number(number),
    )
  const check = () => machine.plugin.checkPod!(machine.host.pods.get('a')!, never())

  it('that is refused applies not at all', async () => {
    await machine.start()
    await machine.pod('other', { portMappings: [port(9000)] })
    await machine.pod('a', { ...limits('10M'), portMappings: [port(8080)] })
    const wanted = { ...limits('20M'), portMappings: [port(8081), port(9000)] }
    await expect(machine.again('a', wanted)).rejects.toMatchObject({ code: 'HOST_PORT_IN_USE' })
    expect(published().sort()).toEqual([8080, 9000])
    await check()
    expect(readdirSync(`${machine.stateDir}/pods`).sort()).toEqual(['a.json', 'other.json'])
    const record = JSON.parse(readFileSync(`${machine.stateDir}/pods/a.json`, 'utf8'))
    expect(record).toMatchObject({ ports: [port(8080)], bandwidth: { ingress: 10e6 } })
  })

  it('that the disk has room to begin, and none to end, is done', async () => {
    await machine.start()
    const pods = `${machine.stateDir}/pods`
    mkdirSync(pods, { recursive: true })
    run('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=16,mode=0700', 'tmpfs', pods])
    try {
      await machine.pod('a', { ...limits('10M'), portMappings: [port(8080)] })
      // The last one is for the record that a change begins with.
      for (let filler = 0; statfsSync(pods).ffree > 1; filler++) writeFileSync(`${pods}/filler-${filler}`, '')
      const wanted = { ...limits('20M'), portMappings: [port(8081)] }
      await machine.again('a', wanted)
      expect(published()).toEqual([8081])
      expect(readdirSync(pods).filter((name) => !name.startsWith('filler'))).toEqual(['a.json'])
      await check()
      // Another one may have what it gave away, and it goes on to change.
      for (let filler = 0; filler < 4; filler++) rmSync(`${pods}/filler-${filler}`)
      await machine.pod('b', { portMappings: [port(8080)] })
      await machine.again('a', { portMappings: [port(8082)] })
      expect(published().sort()).toEqual([8080, 8082])
      await check()
      for (const name of ['a', 'b']) await machine.remove(name)
      expect(published()).toEqual([])
    } finally {
      run('umount', ['-l', pods])
    }
  })

  it("of a pod whose set-up never had its address takes no other pod's port", async () => {
    await machine.start()
    const { ip } = await machine.pod('other', { portMappings: [port(9000)] })
    const [record, settled] = ['a.changing', 'other.json'].map((name) => `${machine.stateDir}/pods/${name}`)
    // Killed between the record of what is to be claimed and the claim, which the other pod had.
    const { ports, ...other } = JSON.parse(readFileSync(settled!, 'utf8'))
    const { netns } = machine.sandbox('a')
    const identity = { path: netns, dev: statSync(netns).dev, ino: statSync(netns).ino }
    const changing = { ports, bandwidth: {}, annotations: {} }
    writeFileSync(
      record!,
      JSON.stringify({ ...other, name: 'a', sandboxId: 'a', netns: identity, ports: [], changing }),
    )
    await machine.remove('a')
    expect(existsSync(record!)).toBe(false)
    expect(published()).toEqual([9000])
    expect(ip).toBe('10.88.0.2')
    expect(await machine.again('other', { portMappings: [port(9000)] })).toMatchObject({ ip })
  })

  it('is refused when two ports lead different ways, and done once when they lead the same', async () => {
    await machine.start()
    const [zero, every] = [port(80, { hostIP: '0.0.0.0' }), port(80)]
    await expect(
      machine.pod('a', { portMappings: [zero, { ...every, containerPort: 81 }] }),
    ).rejects.toMatchObject({
      code: 'HOST_PORT_TWICE',
      message: expect.stringMatching(/ports 80 and 81 at once/),
    })
    expect(machine.traces()).toEqual(nothing)
    await machine.pod('a', { portMappings: [zero, every] })
    await machine.again('a', { portMappings: [every, zero] })
    expect(published()).toEqual([80])
    await machine.remove('a')
    expect(machine.traces()).toEqual(nothing)
  })

  async function startChanging(netns: string): Promise<ChildProcess> {
    const script = new URL('./support/change.ts', import.meta.url).pathname
    const args = ['--import', `${root}.dev/run-source.mjs`, script, machine.stateDir, datapath, netns]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: root })
    // Some changes later, whatever time they take.
    const later = 2 + Math.floor(Math.random() * 4)
    await Promise.race([
      untilRead(child, later),
      once(child, 'exit').then(() => Promise.reject(new Error('the changing program ended'))),
    ])
    return child
  }

  it('leaves nothing behind that the next set-up or tear-down does not see to, killed in the middle', {
    timeout: 600_000,
  }, async () => {
    await machine.start()
    let unfinished = 0
    // A kill has to meet a change, or nothing was tried.
    for (let round = 0; round < 8 || (unfinished === 0 && round < 100); round++) {
      const { netns } = machine.sandbox('a')
      const child = await startChanging(netns)
      await wait(Math.random() * 5)
      child.kill('SIGKILL')
      await once(child, 'exit')
      if (existsSync(`${machine.stateDir}/pods/a.changing`)) unfinished++
      if (round % 2 === 0) {
        await machine.again('a', { ...limits('5M'), portMappings: [port(6000)] })
        expect(published()).toEqual([6000])
        await check()
        machine.host.reports.length = 0
      }
      await machine.remove('a')
      expect(machine.traces()).toEqual(nothing)
    }
    expect(unfinished).toBeGreaterThan(0)
  })
})

/** Until the child has written so many bytes. */
async function untilRead({ stdout }: ChildProcess, bytes: number) {
  for (let read = 0; read < bytes; ) {
    const [piece] = (await once(stdout!, 'data')) as [Buffer]
    read += piece.length
  }
}
