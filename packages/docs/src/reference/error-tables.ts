import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { root, type WorkspacePackage } from '../workspace.ts'

/** An error as its table in the sources describes it. */
export interface ErrorDescription {
  /** `HOST_PORT_IN_USE`; where the table leaves the code to the kernel, the name of the entry: `refused`. */
  readonly code: string
  readonly packageName: string
  /** With placeholders for what the message is made of: `<port> is in use by <owner>`. */
  readonly message: string
  /** What it advises; several where that depends on the case. */
  readonly remedies: readonly string[]
  readonly exitCode: 1 | 2
  /** CNI's own number: `7`. */
  readonly cniCode?: string
}

/** Every entry of every `defineErrors` table of a package, read from its sources: the tables keep no text at run time. */
export function errorsOf({ name, dir }: WorkspacePackage): ErrorDescription[] {
  const source = join(root, dir, 'src')
  // A package of a compiled program has no sources of its own.
  if (!existsSync(source)) return []
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(source, file), 'utf8'))
    .filter((text) => text.includes('defineErrors('))
    .flatMap((text) => tablesIn(text))
    .flatMap(({ table, numbers }) => table.properties.map((entry) => describeEntry(entry, name, numbers)))
    .filter((entry) => entry !== undefined)
}

interface Table {
  readonly table: ts.ObjectLiteralExpression
  /** Constants of the file that entries refer to: `CniCode.invalidConfig` → `7`. */
  readonly numbers: ReadonlyMap<string, string>
}

function tablesIn(text: string): Table[] {
  const file = ts.createSourceFile('errors.ts', text, ts.ScriptTarget.Latest, true)
  const objects = new Map<string, ts.ObjectLiteralExpression>()
  const tables: ts.ObjectLiteralExpression[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && node.initializer) {
      const value = withoutAssertion(node.initializer)
      if (ts.isObjectLiteralExpression(value)) objects.set(node.name.getText(), value)
    }
    if (ts.isCallExpression(node) && node.expression.getText() === 'defineErrors') {
      const [first] = node.arguments
      const table = first && ts.isIdentifier(first) ? objects.get(first.text) : first
      if (table && ts.isObjectLiteralExpression(table)) tables.push(table)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  const numbers = new Map(
    [...objects].flatMap(([name, object]) =>
      object.properties.flatMap((property) =>
        ts.isPropertyAssignment(property)
          ? [[`${name}.${property.name.getText()}`, property.initializer.getText()] as const]
          : [],
      ),
    ),
  )
  return tables.map((table) => ({ table, numbers }))
}

function describeEntry(
  entry: ts.ObjectLiteralElementLike,
  packageName: string,
  numbers: Table['numbers'],
): ErrorDescription | undefined {
  if (!ts.isPropertyAssignment(entry) || !ts.isObjectLiteralExpression(entry.initializer)) return undefined
  const parts = new Map(entry.initializer.properties.map((part) => [part.name?.getText() ?? '', part]))
  const cniCode = parts.get('cniCode')?.getText().split(': ')[1]
  return {
    code: entry.name.getText(),
    packageName,
    message: textsOf(parts.get('message')).join('\n'),
    remedies: textsOf(parts.get('remedy')),
    exitCode: parts.get('exitCode')?.getText().endsWith('2') ? 2 : 1,
    ...(cniCode === undefined ? {} : { cniCode: numbers.get(cniCode) ?? cniCode }),
  }
}

/** The texts that a property holds, or that its function may return. */
function textsOf(part: ts.ObjectLiteralElementLike | undefined): string[] {
  if (part && ts.isMethodDeclaration(part)) return part.body ? returnedBy(part.body) : []
  if (!part || !ts.isPropertyAssignment(part)) return []
  const { initializer } = part
  if (!ts.isArrowFunction(initializer)) return alternatives(initializer)
  return ts.isBlock(initializer.body) ? returnedBy(initializer.body) : alternatives(initializer.body)
}

function returnedBy(body: ts.Block): string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isReturnStatement(node) && node.expression) found.push(...alternatives(node.expression))
    ts.forEachChild(node, visit)
  }
  visit(body)
  return found
}

/** `a ? b : c` is either text; `undefined` is none. */
function alternatives(given: ts.Expression): string[] {
  const expression = withoutAssertion(given)
  if (ts.isConditionalExpression(expression))
    return [...alternatives(expression.whenTrue), ...alternatives(expression.whenFalse)]
  // `x && text`
  if (
    ts.isBinaryExpression(expression) &&
    expression.operatorToken.kind === ts.SyntaxKind.AmpersandAmpersandToken
  )
    return alternatives(expression.right)
  if (expression.getText() === 'undefined') return []
  return [pattern(expression)]
}

/** The text of an expression, with a placeholder for each value in it. */
function pattern(given: ts.Expression): string {
  const expression = withoutAssertion(given)
  if (ts.isStringLiteralLike(expression)) return expression.text
  if (ts.isTemplateExpression(expression)) {
    const spans = expression.templateSpans.map((span) => pattern(span.expression) + span.literal.text)
    return expression.head.text + spans.join('')
  }
  if (ts.isBinaryExpression(expression) && expression.operatorToken.kind === ts.SyntaxKind.PlusToken)
    return pattern(expression.left) + pattern(expression.right)
  if (ts.isBinaryExpression(expression)) return pattern(expression.left)
  const made = textOfCall(expression)
  if (made !== undefined) return made
  // What stands there only in some cases is left out where the other is nothing.
  if (ts.isConditionalExpression(expression)) {
    const texts = alternatives(expression).filter((text) => text !== '')
    return texts.length === 1 ? `[${texts[0]}]` : `[${texts.join('|')}]`
  }
  return `<${placeholder(expression)}>`
}

/** The text that a function of the same file makes: `label(from)` → `Plugin package <packageName>@<version>`. */
function textOfCall(expression: ts.Expression): string | undefined {
  if (!ts.isCallExpression(expression) || spelling.has(expression.expression.getText())) return undefined
  const name = expression.expression.getText()
  const declared = expression
    .getSourceFile()
    .statements.flatMap((statement): readonly ts.Node[] =>
      ts.isVariableStatement(statement) ? statement.declarationList.declarations : [statement],
    )
    .find(
      (node): node is ts.VariableDeclaration | ts.FunctionDeclaration =>
        (ts.isVariableDeclaration(node) || ts.isFunctionDeclaration(node)) && node.name?.getText() === name,
    )
  if (!declared) return undefined
  const made = ts.isVariableDeclaration(declared) ? declared.initializer : declared
  const body = made && (ts.isArrowFunction(made) || ts.isFunctionDeclaration(made)) ? made.body : undefined
  if (!body) return undefined
  const texts = (ts.isBlock(body) ? returnedBy(body) : alternatives(body)).filter((text) => text !== '')
  return texts.length === 1 ? texts[0] : `[${texts.join('|')}]`
}

// Functions that only change how a value is spelt.
const spelling = new Set([
  'printable',
  'describeValue',
  'messageOf',
  'podKey',
  'formatMs',
  'String',
  'Math.round',
  'JSON.stringify',
  'describeCapabilities',
  'errnoName',
  'onOneLine',
])

/** What a value is called: `about.pod` → `pod`, `podKey(pod)` → `pod`, `names.join(', ')` → `names`. */
function placeholder(given: ts.Expression): string {
  const expression = withoutAssertion(given)
  if (ts.isIdentifier(expression)) return expression.text
  if (ts.isCallExpression(expression)) {
    const called = expression.expression
    const [first] = expression.arguments
    if (spelling.has(called.getText()) && first) return placeholder(first)
    return placeholder(ts.isPropertyAccessExpression(called) ? called.expression : called)
  }
  if (ts.isPropertyAccessExpression(expression)) {
    const { name, expression: owner } = expression
    return name.text === 'length' ? placeholder(owner) : name.text
  }
  if (ts.isElementAccessExpression(expression)) return placeholder(expression.expression)
  if (ts.isBinaryExpression(expression)) return placeholder(expression.left)
  return '…'
}

function withoutAssertion(expression: ts.Expression): ts.Expression {
  if (ts.isAsExpression(expression) || ts.isParenthesizedExpression(expression))
    return withoutAssertion(expression.expression)
  return expression
}
