import { readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { describeDatapaths, never, portsIn, run, useMachine } from './support/machine.ts'

const port = (hostPort: number) => ({ hostPort, containerPort: 80, protocol: 'tcp' as const })

describeDatapaths('what all pods share (%s)', (datapath) => {
  const machine = useMachine(datapath)
  const check = (id: string) => machine.plugin.checkPod!(machine.host.pods.get(id)!, never())
  const published = () =>
    portsIn(run('nft', ['-j', 'list', 'map', 'inet', machine.table, 'ports4'])).map(
      ([key, value]) => `${key.concat[1]} ${value.concat[0]}`,
    )
  const ofDatapath: [string[], RegExp][] =
    datapath === 'bridge'
      ? [
          [['ip', 'link', 'del', 'cbr0'], /bridge cbr0 is gone/],
          [['ip', 'addr', 'flush', 'dev', 'cbr0'], /bridge cbr0 lacks 10\.88\.0\.1\/16/],
        ]
      : [
          [['ip', 'addr', 'del', '10.88.0.1/32', 'dev', 'lo'], /lo lacks 10\.88\.0\.1\/32/],
          [['ip', 'addr', 'del', 'fd88::1/128', 'dev', 'lo'], /lo lacks fd88::1\/128/],
        ]
  const damages = (): [string[], RegExp][] => [
    [['nft', 'flush', 'ruleset'], /firewall rules are gone/],
    [['nft', 'delete', 'table', 'inet', machine.table], /firewall rules are gone/],
    [['nft', 'flush', 'chain', 'inet', machine.table, 'raw'], /firewall rules are gone/],
    [['nft', 'flush', 'map', 'inet', machine.table, 'ports4'], /firewall rules are gone/],
    ...ofDatapath,
  ]

  it('is told of by a check of any pod, which touches nothing, and put back by setting that up again', async () => {
    await machine.start()
    await machine.pod('a', { portMappings: [port(8080)] })
    await machine.pod('b')
    await (await machine.peer('a')).serve('tcp', 80, 'a')
    const inB = await machine.peer('b')
    for (const [[command = '', ...args], difference] of damages()) {
      // By the process that made it, and by another one.
      for (const isFresh of [false, true]) {
        run(command, args)
        if (isFresh) await machine.start()
        await expect(check('b')).rejects.toThrow(difference)
        await expect(check('b')).rejects.toThrow(difference)
        await machine.again('b')
        await check('b')
        // The other one has all of it back too.
        await check('a')
        expect(await inB.ask('tcp', '10.88.0.1', 8080)).toMatch(/^a /)
      }
    }
  })

  it.runIf(datapath === 'routed')('is told of where another process would have to forward', async () => {
    await machine.start()
    await machine.pod('a')
    run('sysctl', ['-w', 'net.ipv4.ip_forward=0'])
    await machine.start()
    await expect(check('a')).rejects.toThrow('net.ipv4.ip_forward is 0, not 1')
    await machine.again('a')
    await check('a')
  })

  it('gives no pod a port that another one has, though somebody emptied the maps', async () => {
    await machine.start()
    await machine.pod('a', { portMappings: [port(8080)] })
    for (const isFresh of [false, true]) {
      run('nft', ['flush', 'map', 'inet', machine.table, 'ports4'])
      if (isFresh) await machine.start()
      await expect(machine.pod('b', { portMappings: [port(8080)] })).rejects.toMatchObject({
        code: 'HOST_PORT_IN_USE',
        details: { owner: 'pod test/a' },
      })
      expect(published()).toEqual(['8080 10.88.0.2'])
      await check('a')
    }
  })

  it('holds ports that a change under way has published, when the tables are made anew', async () => {
    await machine.start()
    await machine.pod('a', { portMappings: [port(8080)] })
    await machine.pod('z', { portMappings: [port(8082)] })
    // As another process leaves it between publishing and writing down that all is done; one of the ports it will not get.
    const file = `${machine.stateDir}/pods/a.json`
    const changing = { ports: [port(8081), port(8082)], bandwidth: {} }
    const all = ['8080 10.88.0.2', '8081 10.88.0.2', '8082 10.88.0.3']
    const begun = JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), changing })
    writeFileSync(file.replace('.json', '.changing'), begun)
    run('nft', ['flush', 'ruleset'])
    await machine.pod('c')
    expect(published().sort()).toEqual(all)
    // The change may fail yet: nobody else has what it would give away. The next set-up ends it, and nothing else is left.
    await machine.again('a', { portMappings: [port(8080)] })
    expect(published().sort()).toEqual(['8080 10.88.0.2', '8082 10.88.0.3'])
    for (const id of ['a', 'z', 'c']) await check(id)
  })

  it("are put back by a repair, but for a port that is another pod's, whatever a record says", async () => {
    await machine.start()
    await machine.pod('a', { portMappings: [port(8080)] })
    await machine.pod('z', { portMappings: [port(8082)] })
    const file = `${machine.stateDir}/pods/a.json`
    const record = JSON.parse(readFileSync(file, 'utf8'))
    writeFileSync(file, JSON.stringify({ ...record, ports: [port(8080), port(8082), port(8083)] }))
    await machine.plugin.event('repair', {})
    expect(published().sort()).toEqual(['8080 10.88.0.2', '8082 10.88.0.3', '8083 10.88.0.2'])
  })
})
