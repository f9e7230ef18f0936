// Counts the packets of an address with a rule of the packet filter, and passes the result on.
import { addRule, breaks, deleteRules, failure, listRules, run, serve, staleBy } from './skeleton.mjs'

await serve({
  add({ config, owner, netns, version }) {
    const { prevResult } = config
    if (!prevResult) throw failure(7, 'prevResult is missing')
    if (netns.startsWith('/nonexistent')) throw failure(3, 'the sandbox is missing')
    addRule(owner, prevResult.ips[0].address.split('/')[0])
    if (breaks('cni-result-passed-on')) return { cniVersion: version, interfaces: [], ips: [] }
    return prevResult
  },
  del: ({ owner }) => deleteRules((other) => other === owner),
  check({ config, owner, netns, ifName }) {
    if (!config.prevResult) throw failure(7, 'prevResult is missing')
    if (!listRules().some((rule) => rule.owner === owner)) throw failure(100, 'the rule is missing')
    run('nsenter', `--net=${netns}`, 'ip', 'link', 'show', ifName)
  },
  gc: (request) => deleteRules(staleBy(request)),
  status() {},
})
