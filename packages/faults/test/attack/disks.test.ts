import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { project } from '../../../cli/test/podwire.ts'
import { check } from '../../src/checker/check.ts'
import { observe } from '../../src/checker/observe.ts'
import { cleanNetwork } from '../../src/machine/clean.ts'
import { describeAttack, run } from './attacker.ts'

describeAttack('a disk', () => {
  /** A project whose state directory is a small disk. */
  function onSmallDisk() {
    const root = mkdtempSync('/run/disk-')
    const stateDir = join(root, 'state')
    mkdirSync(stateDir)
    run('mount', '-t', 'tmpfs', '-o', 'size=256k,mode=0700', 'tmpfs', stateDir)
    const config = { networkPlugin: 'kubenet', podCIDR: '10.88.0.0/24', stateDir }
    const end = async () => {
      run('umount', stateDir)
      rmSync(root, { recursive: true })
      await cleanNetwork()
    }
    return { stateDir, end, ...project({ 'podwire.config.json': config }) }
  }

  test.each([
    [
      'that is full',
      (dir: string) =>
        expect(() => writeFileSync(join(dir, 'filler'), Buffer.alloc(2 ** 20))).toThrow('ENOSPC'),
      (dir: string) => rmSync(join(dir, 'filler')),
    ],
    [
      'that became read-only',
      (dir: string) => run('mount', '-o', 'remount,bind,ro', dir),
      (dir: string) => run('mount', '-o', 'remount,bind,rw', dir),
    ],
  ])(
    '%s lets pods go down, refuses new ones and leaves nothing of them',
    async (_name, harm, mend) => {
      const { stateDir, podwire, end } = onSmallDisk()
      try {
        for (const name of ['a', 'b'])
          expect(podwire('up', `default/${name}`, '-p', `${name === 'a' ? 81 : 82}:80`).status).toBe(0)
        harm(stateDir)
        expect(podwire('up', 'default/c')).toMatchObject({
          status: 1,
          stderr: expect.stringContaining(stateDir),
        })
        expect(podwire('up', 'default/a', '-p', '83:80')).toMatchObject({ status: 1 })
        expect(podwire('down', 'default/a')).toMatchObject({ status: 0 })
        expect(run('ip', '-o', 'link').match(/: pw[0-9a-f]{12}@/g)).toHaveLength(1)
        mend(stateDir)
        expect(podwire('down', 'default/b')).toMatchObject({ status: 0 })
        expect(podwire('prune', '--all')).toMatchObject({ status: 0 })
        expect(podwire('gc')).toMatchObject({ status: 0 })
        expect(check({ hosts: [] }, observe([stateDir]))).toEqual([])
        expect(existsSync('/run/netns') && run('ls', '/run/netns')).toBe('')
      } finally {
        await end()
      }
    },
    120_000,
  )
})
