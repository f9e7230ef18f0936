import { expect, test } from 'vitest'
import { type Execer, getPodIP, getPodIPs } from '../src/index.ts'

const v4 = '2: eth0    inet 10.88.0.2/24 brd 10.88.0.255 scope global eth0\\       valid_lft forever\n'
const v6 = '2: eth0    inet6 fd00::2/64 scope global \\       valid_lft forever\n'

/** Answers for each family, and the commands that were run. */
function scripted(answers: { '-4'?: string; '-6'?: string }) {
  const commands: string[] = []
  const execer: Execer = async (file, args) => {
    commands.push([file, ...args].join(' '))
    const answer = answers[args.includes('-4') ? '-4' : '-6']
    if (answer === undefined) throw new Error('Device "eth0" does not exist.')
    return answer
  }
  return { commands, execer }
}

test('asks as the kubelet did', async () => {
  const { commands, execer } = scripted({ '-4': v4 })
  expect(await getPodIP('/run/netns/a', 'eth0', { execer, nsenterPath: '/bin/nsenter' })).toBe('10.88.0.2')
  expect(commands).toEqual(['/bin/nsenter --net=/run/netns/a -F -- ip -o -4 addr show dev eth0 scope global'])
})

test.each([
  [{ '-4': v4, '-6': v6 }, '10.88.0.2', ['10.88.0.2', 'fd00::2']],
  [{ '-4': `${v4}${v4.replace('.2/', '.3/')}` }, '10.88.0.2', ['10.88.0.2']],
  [{ '-4': '', '-6': v6 }, 'fd00::2', ['fd00::2']],
  [{ '-6': v6 }, 'fd00::2', ['fd00::2']],
  [{ '-4': 'a b c garbage/24', '-6': v6 }, 'fd00::2', ['fd00::2']],
])('%j: %s, of each family %j', async (answers, ip, ips) => {
  const { execer } = scripted(answers)
  expect(await getPodIP('/n', 'eth0', { execer })).toBe(ip)
  expect(await getPodIPs('/n', 'eth0', { execer })).toEqual(ips)
})

test('says what both commands printed when there is no address', async () => {
  const { execer } = scripted({ '-6': 'nonsense' })
  const expected = {
    code: 'POD_IP_NOT_FOUND',
    message: expect.stringMatching(/eth0 in \/n: Device "eth0" does not exist\..*nonsense/),
  }
  await expect(getPodIP('/n', 'eth0', { execer })).rejects.toMatchObject(expected)
  await expect(getPodIPs('/n', 'eth0', { execer })).rejects.toMatchObject(expected)
})
