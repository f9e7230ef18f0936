import { request } from 'node:http'

/** What a runtime calls a plugin with. */
export interface Called {
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string | Uint8Array
}

/** The body of a call, as the executable makes it. */
export function bodyOf({ env, stdin }: Called): Buffer {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}\0`)
  return Buffer.concat([Buffer.from(`${variables.join('')}\0`), Buffer.from(stdin)])
}

export interface CalledAnswer {
  readonly status: number
  readonly text: string
  /** What tests look into is for them to know. */
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly printed: any
}

/** Calls the door as the executable does. */
export function callDoor(
  socketPath: string,
  body: Uint8Array,
  { signal, type = 'application/vnd.podwire.cni' }: { signal?: AbortSignal; type?: string } = {},
): Promise<CalledAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request({
      socketPath,
      agent: false,
      method: 'POST',
      path: '/v1/cni',
      headers: { host: 'podwire', 'content-type': type, 'content-length': body.length, connection: 'close' },
      ...(signal ? { signal } : {}),
    })
    sent.on('error', reject)
    sent.on('response', async (response) => {
      try {
        let text = ''
        for await (const chunk of response) text += chunk
        if (response.headers['content-length'] !== String(Buffer.byteLength(text)))
          throw new Error('the length of the answer is not told, or wrong')
        resolve({
          status: response.statusCode ?? 0,
          text,
          printed: text === '' ? undefined : JSON.parse(text),
        })
      } catch (error) {
        reject(error)
      }
    })
    sent.end(body)
  })
}
