import { commandGroup, type DefineCommand } from '../command.ts'
import { installCommand, uninstallCommand } from './cni/install.ts'
import { statusCommand } from './cni/status.ts'
import { rulesCommand, testCommand } from './cni/test.ts'

const define: DefineCommand = (does) =>
  commandGroup('cni', 'be the CNI plugin of container runtimes, and test CNI plugins', [
    installCommand(does),
    uninstallCommand(does),
    statusCommand(does),
    testCommand(does),
    rulesCommand(does),
  ])
export default define
