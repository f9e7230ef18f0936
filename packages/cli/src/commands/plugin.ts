import { commandGroup, type DefineCommand } from '../command.ts'
import { addCommand } from './plugin/add.ts'
import { devCommand } from './plugin/dev.ts'
import { infoCommand } from './plugin/info.ts'
import { removeCommand } from './plugin/remove.ts'
import { searchCommand } from './plugin/search.ts'
import { rulesCommand, testCommand } from './plugin/test.ts'

const define: DefineCommand = (does) =>
  commandGroup('plugin', 'find, install, write and test plugin packages', [
    searchCommand(does),
    infoCommand(does),
    addCommand(does),
    removeCommand(does),
    devCommand(does),
    testCommand(does),
    rulesCommand(does),
  ])
export default define
