import { describeValue, messageOf, type PluginModule } from '@podwire/api'
import { isObject } from '../../kernel-state/json.ts'
import type { RuleContext } from '../context.ts'
import type { Rule } from '../rule.ts'
import { parseTargetOptions } from '../subject.ts'
import { broken, notTried } from '../verdict.ts'

const misspelt = 'conformanceMisspelt'

export const optionRules: readonly Rule[] = [
  {
    id: 'options-accepted',
    group: 'options',
    sentence: 'The schema accepts the options of the test; without any, none.',
    reason: 'A plugin is tried by naming it: what it can’t do without must be given in the test too.',
    async try(context) {
      const module = await context.module()
      context.step(`options: ${describeValue(context.target.options ?? {})}`)
      await parseTargetOptions(module, context.target).catch((error: unknown) =>
        broken(`refused: ${messageOf(error)}`),
      )
    },
  },
  {
    id: 'options-shape',
    group: 'options',
    sentence: 'The schema refuses what is not an object.',
    reason:
      'A configuration file holds whatever was written there; a plugin that gets it all the same fails later, and elsewhere.',
    async try(context) {
      const schema = await schemaOf(context)
      for (const wrong of ['text', 7, true, ['list']]) {
        const { issues } = await validate(context, schema, wrong)
        if (!issues) broken(`${describeValue(wrong)} is accepted`)
      }
    },
  },
  {
    id: 'options-misspelt',
    group: 'options',
    sentence: 'The schema refuses a key that it doesn’t know, and names it.',
    reason: 'A misspelt option that is ignored is found when its default has done the harm.',
    async try(context) {
      const schema = await schemaOf(context)
      const { options } = context.target
      const { issues } = await validate(context, schema, {
        ...(isObject(options) ? options : {}),
        [misspelt]: 1,
      })
      if (!issues) broken(`the unknown key ${misspelt} is accepted`)
      const text = JSON.stringify(issues.map(({ message, path }) => ({ message, path })))
      if (!text.includes(misspelt)) broken(`the key is not named: ${text}`)
    },
  },
]

type Schema = NonNullable<PluginModule['options']>

async function schemaOf(context: RuleContext): Promise<Schema> {
  const { options } = await context.module()
  return options ?? notTried('the package takes no options: the host refuses all')
}

async function validate(context: RuleContext, schema: Schema, value: unknown) {
  context.step(`options: ${describeValue(value)}`)
  try {
    return await schema['~standard'].validate(value)
  } catch (error) {
    return broken(`the schema threw instead of returning issues: ${messageOf(error)}`)
  }
}
