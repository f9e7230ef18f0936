import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { namesIn } from '@podwire/api/files'
import { connectNetworkHost } from '@podwire/client'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { daemonProject } from './daemon-process.ts'

// The full count takes some minutes: npm run test:faults -- --cni.
const rounds = process.env['PODWIRE_FAULTS'] === 'all' ? 300 : 6
const containers = 6
const stateDir = '/run/podwire-cni-killed'
const kubenet = join(stateDir, 'plugins/kubenet')

describe.skipIf(!isIsolated())('a container runtime', () => {
  test(
    `finds no address, link or journal entry left after ${rounds} rounds in which its plugin or the daemon was killed`,
    async () => {
      const { dir, podwire, socket, startDaemon } = daemonProject({
        networkPlugin: 'kubenet',
        podCIDR: '10.91.0.0/24',
        stateDir,
      })
      const binDir = join(dir, 'bin')
      mkdirSync(binDir)
      let daemon = await startDaemon()
      const where = ['--bin-dir', binDir, '--conf-dir', join(dir, 'net.d')]
      expect(podwire('cni', 'install', ...where)).toMatchObject({ status: 0 })
      const shim = join(binDir, 'podwire')

      /** Calls the plugin; kills it after so long, where that is wanted. Resolves with its exit code, null where it was killed. */
      const call = async (command: string, name: string, hostPort: number, killAfter?: number) => {
        const child = spawn(shim, [], {
          env: {
            CNI_COMMAND: command,
            CNI_CONTAINERID: name,
            CNI_NETNS: `/run/netns/${name}`,
            CNI_IFNAME: 'eth0',
            CNI_PATH: binDir,
          },
          stdio: ['pipe', 'pipe', 'ignore'],
        })
        const portMappings = [{ hostPort, containerPort: 80, protocol: 'tcp' }]
        // It may be killed before it reads.
        child.stdin.on('error', () => {})
        child.stdin.end(
          JSON.stringify({
            cniVersion: '1.0.0',
            name: 'podwire',
            type: 'podwire',
            runtimeConfig: { portMappings },
          }),
        )
        let printed = ''
        child.stdout.on('data', (chunk) => {
          printed += chunk
        })
        const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter)
        const [code] = (await once(child, 'close')) as [number | null]
        clearTimeout(timer)
        return { code, printed }
      }

      const seen = { added: 0, killed: 0, refused: 0, journaled: 0, daemons: 0 }
      /** A pod's life, by a runtime that asks again until a DEL is done. */
      const live = async (name: string, hostPort: number) => {
        const maybe = () => (Math.random() < 0.4 ? Math.random() * 12 : undefined)
        execFileSync('ip', ['netns', 'add', name])
        const { code } = await call('ADD', name, hostPort, maybe())
        if (code === 0) seen.added++
        else if (code === null) seen.killed++
        else seen.refused++
        for (;;) {
          const deleted = await call('DEL', name, hostPort, maybe())
          if (deleted.code === 0) break
          if (deleted.code === null) seen.killed++
        }
        execFileSync('ip', ['netns', 'delete', name])
      }

      const look = async () => {
        const host = await connectNetworkHost({ socket })
        const pods = await host.pods()
        await host.close()
        const links = JSON.parse(
          execFileSync('ip', ['-json', 'link', 'show', 'type', 'veth'], { encoding: 'utf8' }),
        )
        const names = (path: string) => namesIn(path).filter((name) => !name.startsWith('.'))
        return {
          pods: pods.map(({ pod, phase, problem }) => `${pod.name} ${phase} ${problem}`),
          links: links.map(({ ifname }: { ifname: string }) => ifname),
          addresses: names(join(kubenet, 'addresses')),
          records: names(join(kubenet, 'pods')),
          journal: names(join(stateDir, 'cni-journal')),
          ports:
            execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }).match(
              / : 10\.91\.0\.\d+ \. 80/g,
            ) ?? [],
        }
      }
      const nothing = { pods: [], links: [], addresses: [], records: [], journal: [], ports: [] }

      for (let round = 0; round < rounds; round++) {
        const living = Promise.all(
          Array.from({ length: containers }, (_, index) => live(`r${round}-${index}`, 21_000 + index)),
        )
        const isKilled = round % 2 === 1
        if (isKilled) {
          await sleep(Math.random() * 60)
          daemon.child.kill('SIGKILL')
          await daemon.end
          seen.daemons++
          await living
          seen.journaled += namesIn(join(stateDir, 'cni-journal')).length
          daemon = await startDaemon()
        } else await living
        // What was left to the daemon it does when it is asked for something next.
        const name = `r${round}-last`
        execFileSync('ip', ['netns', 'add', name])
        expect(await call('ADD', name, 22_000), `round ${round}`).toMatchObject({ code: 0 })
        expect(await call('DEL', name, 22_000), `round ${round}`).toMatchObject({ code: 0 })
        execFileSync('ip', ['netns', 'delete', name])
        // An ADD whose plugin was killed is undone by and by, where its DEL came before.
        for (let i = 0; i < 200; i++) {
          if (JSON.stringify(await look()) === JSON.stringify(nothing)) break
          await sleep(20)
        }
        expect(await look(), `round ${round}`).toEqual(nothing)
      }
      // Rounds in which nothing happened would say nothing.
      expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(0)

      daemon.child.kill('SIGTERM')
      expect(await daemon.end).toMatchObject({ code: 0 })
      expect(readdirSync('/run/netns')).toEqual([])
      expect(namesIn(join(stateDir, 'cni-journal')).filter((name) => !name.startsWith('.'))).toEqual([])
    },
    120_000 + rounds * 5_000,
  )
})
