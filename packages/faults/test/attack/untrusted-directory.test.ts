import { chownSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { project } from '../../../cli/test/podwire.ts'
import { hasOtherUsers, run, SOMEBODY } from './attacker.ts'

const evil =
  "import { writeFileSync } from 'node:fs'\nwriteFileSync('/run/evil-ran', process.argv.join(' '))\n"
const plugin = (name: string) => ({
  [`node_modules/${name}/package.json`]: {
    name,
    version: '1.0.0',
    type: 'module',
    exports: './index.js',
    main: './index.js',
    podwire: { apiVersion: 1, plugins: ['kubenet'] },
  },
  [`node_modules/${name}/index.js`]: evil,
})

const commands = [
  ['run', '--', 'true'],
  ['up', 'default/web'],
  ['status'],
  ['ps'],
  ['doctor'],
  ['plugins'],
  ['down', 'default/web'],
  ['prune'],
  ['event', 'hello'],
  ['config', 'check'],
]

describe.skipIf(!isIsolated() || !hasOtherUsers)(
  "root in another user's directory runs none of their code",
  () => {
    test.each<[string, Record<string, unknown>]>([
      [
        'from packages that shadow what Podwire needs',
        Object.assign(
          {},
          ...[
            'podwire-plugin-kubenet',
            '@podwire/plugin-kubenet',
            '@podwire/core',
            'koffi',
            'tsx',
            'zod',
            'yaml',
          ].map(plugin),
        ),
      ],
      ['from a configuration in JavaScript', { 'podwire.config.mjs': `${evil}export default {}` }],
      [
        'from a package that a configuration in JSON names',
        {
          'podwire.config.json': {
            networkPlugin: 'kubenet',
            discovery: { packages: ['./node_modules/anything'] },
          },
          ...plugin('anything'),
        },
      ],
    ])('%s', { timeout: 240_000 }, (_name, files) => {
      const { dir, podwire } = project(files)
      run('chown', '-R', `${SOMEBODY}:${SOMEBODY}`, dir)
      for (const args of commands) {
        podwire(...args, ...(args.includes('--') ? [] : ['--state-dir', '/run/evil-state']))
        expect(existsSync('/run/evil-ran'), `podwire ${args.join(' ')}`).toBe(false)
      }
      podwire('prune', '--all', '--state-dir', '/run/evil-state')
    })

    test('and says whose the configuration is, and the way out', () => {
      const { dir, podwire } = project({ 'podwire.config.json': { networkPlugin: '' } })
      chownSync(join(dir, 'podwire.config.json'), SOMEBODY, SOMEBODY)
      const { status, stderr } = podwire('status')
      expect(status).toBe(2)
      expect(stderr).toContain(`belongs to user ${SOMEBODY}`)
      expect(stderr).toContain('--trust')
    })

    test('but that of the user whose sudo it is, and of nobody else', () => {
      const under = (uid: string) => {
        vi.stubEnv('SUDO_UID', uid)
        const { dir, podwire } = project({
          'podwire.config.json': { networkPlugin: '', stateDir: './state' },
        })
        chownSync(join(dir, 'podwire.config.json'), SOMEBODY, SOMEBODY)
        return podwire('config', 'check')
      }
      onTestFinished(() => void vi.unstubAllEnvs())
      expect(under(String(SOMEBODY))).toMatchObject({ status: 0, stderr: '' })
      for (const uid of [String(SOMEBODY + 1), '0', '', 'root', `${SOMEBODY} `.repeat(2)])
        expect(under(uid), `SUDO_UID=${uid}`).toMatchObject({
          status: 2,
          stderr: expect.stringContaining(`belongs to user ${SOMEBODY}`),
        })
    })
  },
)
