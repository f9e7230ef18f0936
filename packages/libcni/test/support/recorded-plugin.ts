// A CNI plugin that shows what it was asked, and does as its configuration says.
import { cniMain, parseCniArgs, pluginError, readKey } from '@podwire/libcni/plugin'

const lateError = (message: string) => {
  throw new Error(message)
}

await cniMain({
  about: 'CNI plugin recorded v1',
  versions: ['0.2.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
  async add(request) {
    const { config, runtimeConfig, prevResult, args } = request
    if (config['throws'] === 'typed') throw pluginError(11, 'busy', 'come back')
    if (config['throws'] === 'any') throw new Error('surprise')
    if (config['throws'] === 'text') throw 'just text'
    if (config['throws'] === 'later') setTimeout(() => lateError('too late'))
    if (config['throws'] === 'aside') void Promise.reject(new Error('on the side'))
    if (config['throws'] || config['hangs']) await new Promise(() => {})
    if (config['known']) parseCniArgs(args, ['K8S_POD_NAME'])
    if (config['ipam']) return request.delegate.add(String(readKey(config, 'ipam')))
    if (config['pass']) return
    if (config['big']) return { interfaces: [{ name: 'x'.repeat(2_000_000) }] }
    return {
      dns: { domain: JSON.stringify({ runtimeConfig, prevResult, args }) },
      ips: [{ address: '10.0.0.1/8' }],
    }
  },
  async check({ prevResult }) {
    if (!prevResult?.ips) throw pluginError(7, 'no addresses in prevResult')
  },
  async del({ netns, delegate, config }) {
    if (netns === '' && config['strict']) throw pluginError(8, 'no namespace')
    if (config['ipam']) await delegate.del(String(config['ipam']))
  },
  gc({ validAttachments }) {
    if (validAttachments.length === 0) throw pluginError(50, JSON.stringify(validAttachments))
  },
  status({ config }) {
    if (config['down']) throw pluginError(50, 'down')
  },
})
