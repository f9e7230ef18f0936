import { execFile } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isIsolated } from '@podwire/testing'
import { exitCodeOf, formatReport, runCniConformance } from '@podwire/testing/cni'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type PluginFiles, pluginFiles } from './plugin-files.ts'

const run = promisify(execFile)

describe.runIf(isIsolated())('the conformance kit for CNI', { timeout: 120_000 }, () => {
  let files: PluginFiles
  beforeEach(async () => {
    files = await pluginFiles()
  })
  afterEach(() => files.remove())

  // Nobody else on the machine sleeps as long.
  const sleep = `sleep ${randomInt(100_000, 1_000_000_000)}`
  const supported = '{"cniVersion": "1.0.0", "supportedVersions": ["1.0.0"]}'

  it('kills a plugin that hangs with all that it has started, and soon stops waiting for more', async () => {
    const target = await files.script(
      'hangs',
      `#!/bin/sh\n[ "$CNI_COMMAND" != VERSION ] || { echo '${supported}'; exit; }\n${sleep} &\nwait\n`,
    )
    const report = await runCniConformance({
      target,
      config: await files.file('conf.json', {}),
      deadline: 500,
      rules: ['cni-add', 'cni-del', 'cni-del-twice', 'cni-check'],
    })
    expect(report.results.map(({ rule, outcome }) => [rule, outcome])).toEqual([
      ['cni-add', 'failed'],
      ['cni-del', 'failed'],
      ['cni-del-twice', 'skipped'],
      ['cni-check', 'skipped'],
    ])
    expect(report.results[0]).toMatchObject({
      why: expect.stringContaining('did not end within 500 ms'),
      calls: [{ timedOut: true }],
    })
    const { stdout } = await run('ps', ['-eo', 'args'])
    expect(stdout).not.toContain(sleep)
  })

  it('leaves the machine as it was', async () => {
    const look = async () =>
      (await run('sh', ['-c', 'ip link; ip netns; nft list ruleset; ls -R /run /var/lib'])).stdout
    const before = await look()
    const target = await files.script(
      'messy',
      `#!/bin/sh
      case $CNI_COMMAND in
        VERSION) echo '${supported}' ;;
        ADD) ip link add mess type veth peer name more; ip netns add mess; nft add table ip mess; mkdir -p /var/lib/mess
          setsid ${sleep} < /dev/null > /dev/null 2>&1 & echo '{"cniVersion": "1.0.0"}' ;;
      esac`,
    )
    const report = await runCniConformance({
      target,
      config: await files.file('conf.json', {}),
      rules: ['cni-add', 'cni-del-leaves-nothing'],
    })
    expect(report.failed).toBe(0)
    expect(report.shared).toEqual(
      expect.arrayContaining(['host: link mess veth mtu 1500 down', 'file /var/lib/mess']),
    )
    expect(await look()).toBe(before)
    expect((await run('ps', ['-eo', 'args'])).stdout).not.toContain(sleep)
  })

  it('shows the rule, what was done, what was seen and the section of the spec', async () => {
    const target = await files.script(
      'shy',
      `#!/bin/sh\n[ "$CNI_COMMAND" != VERSION ] || { echo '${supported}'; exit; }\necho "it's \u001b[31mme" >&2\nexit 3\n`,
    )
    const report = await runCniConformance({
      target,
      config: await files.file('conf.json', {}),
      rules: ['cni-add'],
    })
    expect(exitCodeOf(report)).toBe(1)
    const printed = formatReport(report)
    expect(printed).toContain('failed   must    cni-add')
    expect(printed).toContain('https://github.com/containernetworking/cni/blob/spec-v1.0.0/SPEC.md#errors')
    expect(printed).toMatch(
      /done {5}echo '\{"cniVersion":"1.0.0".*\}' \| CNI_COMMAND=ADD .*CNI_IFNAME=eth0 \S+\/shy/,
    )
    expect(printed).toContain('exit code 3')
    expect(printed).toContain("stderr: it's \\u001b[31mme")
    expect(printed).toContain('0 passed, 1 failed, 0 skipped')
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
  })

  it('hands results on through a list, goes back in reverse, and asks all for GC and STATUS', async () => {
    const log = join(files.directory, 'log')
    for (const name of ['interface', 'chained'] as const) {
      const real = await files.plugin(name, '', `real-${name}`)
      await files.script(
        `test-${name}`,
        `#!/bin/sh\ninput=$(cat)\nprintf '%s %s %s\\n' "$CNI_COMMAND" ${name} "$input" >> ${log}\nprintf %s "$input" | ${real}\n`,
      )
    }
    await files.plugin('ipam')
    const target = await files.file('two.conflist', {
      cniVersion: '1.1.0',
      name: 'two',
      plugins: [
        { type: 'test-interface', ipam: { type: 'test-ipam' } },
        { type: 'test-chained', capabilities: { portMappings: true }, note: 'kept' },
      ],
    })
    const report = await runCniConformance({
      target,
      cniPath: [files.directory],
      rules: ['cni-del', 'cni-gc', 'cni-status', 'cni-result-passed-on', 'cni-version-answers', 'cni-check'],
    })
    expect(report.results.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
    // A rule of every plugin is tried for both.
    expect(
      report.results.flatMap(({ rule, plugin }) => (rule === 'cni-version-answers' ? [plugin] : [])),
    ).toEqual(['test-interface', 'test-chained'])
    const calls = (await readFile(log, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => line.split(/ (\w+) (.*)/s))
    const order = calls.map(([command, plugin]) => `${command} ${plugin}`)
    expect(order.join(', ')).toContain('ADD interface, ADD chained, DEL chained, DEL interface')
    expect(order).toEqual(expect.arrayContaining(['GC chained', 'STATUS chained', 'CHECK chained']))
    const config = JSON.parse(
      calls.find(([command, plugin]) => command === 'ADD' && plugin === 'chained')?.[2] ?? '',
    )
    expect(config).toMatchObject({
      name: 'two',
      cniVersion: '1.1.0',
      note: 'kept',
      runtimeConfig: { portMappings: [{ containerPort: 80 }] },
      prevResult: { ips: [{ address: expect.stringMatching(/^10\.230/) }] },
    })
    expect(config).not.toHaveProperty('capabilities')
  })

  it('tests a plugin in a directory that is hidden from it otherwise', async () => {
    await run('mkdir', ['-p', '/var/lib/hidden/bin'])
    await run('cp', [
      await files.script('simple', `#!/bin/sh\necho '${supported}'\n`),
      '/var/lib/hidden/bin/simple',
    ])
    const report = await runCniConformance({
      target: '/var/lib/hidden/bin/simple',
      config: await files.file('conf.json', {}),
      rules: ['cni-version-answers'],
    })
    expect(report).toMatchObject({ passed: 1, failed: 0 })
  })

  it.each([
    ['a file that is not there', '/nonexistent', {}, 'CNI_TEST_TARGET'],
    ['a file that is not executable', '/etc/passwd', {}, 'CNI_TEST_TARGET'],
    ['a plugin of an unknown type', '/bin/true', {}, 'CNI_TEST_NO_CONFIG'],
    ['a configuration that is not JSON', '/bin/true', { config: '/etc/hostname' }, 'CNI_TEST_CONFIG'],
    ['an unknown rule', '/bin/true', { rules: ['cni-sing'] }, 'CNI_TEST_OPTION'],
  ])('refuses %s with what to do', async (_what, target, options, code) => {
    await expect(runCniConformance({ target, ...options })).rejects.toMatchObject({ code, exitCode: 2 })
  })

  it('refuses a machine without namespaces with what to do', async () => {
    const target = await files.script('simple', `#!/bin/sh\necho '${supported}'\n`)
    const config = await files.file('conf.json', {})
    const { PATH } = process.env
    try {
      process.env['PATH'] = files.directory
      await expect(runCniConformance({ target, config })).rejects.toMatchObject({
        code: 'CNI_TEST_NO_NAMESPACES',
        exitCode: 2,
        message: expect.stringContaining('root'),
      })
    } finally {
      process.env['PATH'] = PATH
    }
  })

  it('says which preparation failed', async () => {
    const target = await files.script('simple', `#!/bin/sh\necho '${supported}'\n`)
    const config = await files.file('conf.json', {})
    await expect(
      runCniConformance({ target, config, prepare: ['ip link add x type unheard-of'] }),
    ).rejects.toMatchObject({
      code: 'CNI_TEST_PREPARE',
      exitCode: 2,
      message: expect.stringContaining('unheard-of'),
    })
  })
})
