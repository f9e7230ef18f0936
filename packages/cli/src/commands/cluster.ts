import { commandGroup, type DefineCommand } from '../command.ts'
import { initCommand } from './cluster/init.ts'
import { leasesCommand, releaseCommand, reserveCommand } from './cluster/leases.ts'
import { statusCommand } from './cluster/status.ts'

const define: DefineCommand = (does) =>
  commandGroup('cluster', 'a network of many nodes: pod CIDRs leased from etcd', [
    initCommand(does),
    statusCommand(does),
    leasesCommand(does),
    releaseCommand(does),
    reserveCommand(does),
  ])
export default define
