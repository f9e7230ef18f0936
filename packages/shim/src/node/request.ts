import { readFileSync } from 'node:fs'
import { CNI_DOOR } from '../protocol.ts'
import { DECODING_FAILURE, INVALID_ENVIRONMENT, IO_FAILURE, Problem, reasonOf } from './problem.ts'

export interface Request {
  readonly body: Buffer
  readonly stdinLength: number
}

/**
 * Waits for the end of stdin.
 * @throws Problem; the signal's reason
 */
export async function readRequest(signal: AbortSignal): Promise<Request> {
  // As it is: `process.env` has values as text, which loses the bytes of those that aren't.
  const environment = encodeEnvironment(readFileSync('/proc/self/environ'))
  const stdin = await readStdin(signal)
  return { body: Buffer.concat([environment, stdin]), stdinLength: stdin.length }
}

function encodeEnvironment(environ: Buffer): Buffer {
  const { maxVariables, maxEnvironmentBytes } = CNI_DOOR
  const isCni = /^CNI_[^=]*=/
  // One character for each byte.
  const variables = environ
    .toString('latin1')
    .split('\0')
    .filter((one) => isCni.test(one))
  if (variables.length > maxVariables)
    throw new Problem(INVALID_ENVIRONMENT, `more than ${maxVariables} variables begin with CNI_`)
  variables.sort((a, b) => (a < b ? -1 : 1))
  const names = variables.map((one) => one.slice(0, one.indexOf('=')))
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Problem(INVALID_ENVIRONMENT, `${twice.slice(0, 64)} is set twice`)
  const encoded = Buffer.from(variables.map((one) => `${one}\0`).join(''), 'latin1')
  if (encoded.length > maxEnvironmentBytes)
    throw new Problem(
      INVALID_ENVIRONMENT,
      `the variables that begin with CNI_ are longer than ${maxEnvironmentBytes} bytes`,
    )
  return Buffer.concat([encoded, Buffer.alloc(1)])
}

async function readStdin(signal: AbortSignal): Promise<Buffer> {
  const { maxStdinBytes } = CNI_DOOR
  const chunks: Buffer[] = []
  let length = 0
  const ended = new Promise<never>((_resolve, reject) => {
    const end = () => reject(signal.reason)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end)
  })
  const read = async () => {
    try {
      for await (const chunk of process.stdin) {
        chunks.push(chunk)
        length += chunk.length
        if (length > maxStdinBytes)
          throw new Problem(DECODING_FAILURE, `stdin is longer than ${maxStdinBytes} bytes`)
      }
    } catch (error) {
      if (error instanceof Problem) throw error
      throw new Problem(IO_FAILURE, `stdin can't be read: ${reasonOf(error)}`)
    }
  }
  await Promise.race([read(), ended])
  return Buffer.concat(chunks)
}
