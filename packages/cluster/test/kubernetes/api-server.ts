import { createServer, type ServerResponse } from 'node:http'
import { afterThis } from '../leases/members.ts'

/** A Node in the shape in which an API server of Kubernetes 1.29 tells it, as far as it matters. */
export function nodeObject(name: string, podCIDRs: readonly string[], addresses: readonly string[]) {
  return {
    kind: 'Node',
    apiVersion: 'v1',
    metadata: {
      name,
      uid: '0d3c6ab5-6b1c-4ff3-9f7c-7a7a8d5f1b11',
      resourceVersion: '0',
      labels: { 'kubernetes.io/os': 'linux' },
    },
    spec: podCIDRs.length === 0 ? {} : { podCIDR: podCIDRs[0], podCIDRs },
    status: {
      addresses: [
        ...addresses.map((address) => ({ type: 'InternalIP', address })),
        { type: 'Hostname', address: name },
      ],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  }
}

type NodeObject = ReturnType<typeof nodeObject>

/** A server that speaks list and watch of Nodes as Kubernetes does: it is no API server, and a test can make it forget. */
export async function startApiServer(token: string) {
  const nodes = new Map<string, NodeObject>()
  const watches = new Set<ServerResponse>()
  const asked: string[] = []
  const history: { readonly type: string; readonly told: NodeObject }[] = []
  let version = 100
  /** What came before can't be watched from. */
  let forgotten = 0
  let silent: 'no' | 'watches' | 'all' = 'no'
  let said: { readonly line: string; readonly after: number } | undefined

  const send = (to: ServerResponse, type: string, object: unknown) =>
    to.write(`${JSON.stringify({ type, object })}\n`)
  const status = (code: number, reason: string) => ({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `${reason}`,
    reason,
    code,
  })

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://server')
    const answer = (code: number, body: object) =>
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    asked.push(url.searchParams.has('watch') ? 'watch' : 'list')
    if (request.headers.authorization !== `Bearer ${token}`)
      return void answer(401, status(401, 'Unauthorized'))
    if (url.pathname !== '/api/v1/nodes') return void answer(404, status(404, 'NotFound'))
    if (!url.searchParams.has('watch')) {
      if (silent === 'all') return
      // In pages of two, whatever the limit.
      const all = [...nodes.values()]
      const from = Number(url.searchParams.get('continue') ?? 0)
      const next = from + 2 < all.length ? { continue: String(from + 2) } : {}
      return void answer(200, {
        kind: 'NodeList',
        apiVersion: 'v1',
        metadata: { resourceVersion: String(version), ...next },
        items: all.slice(from, from + 2),
      })
    }
    if (silent !== 'no') return
    response.writeHead(200, { 'content-type': 'application/json' })
    if (Number(url.searchParams.get('resourceVersion')) < forgotten) {
      send(response, 'ERROR', status(410, 'Expired'))
      return void response.end()
    }
    if (said && Number(url.searchParams.get('resourceVersion')) <= said.after)
      response.write(`${said.line}\n`)
    send(response, 'BOOKMARK', {
      kind: 'Node',
      apiVersion: 'v1',
      metadata: { resourceVersion: String(version) },
    })
    for (const { type, told } of history)
      if (Number(told.metadata.resourceVersion) > Number(url.searchParams.get('resourceVersion')))
        send(response, type, told)
    watches.add(response)
    response.on('close', () => watches.delete(response))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number } // of a TCP server
  const endWatches = () => {
    for (const watch of watches) watch.end()
    watches.clear()
  }
  afterThis(() => {
    endWatches()
    server.closeAllConnections()
    server.close()
  })

  const change = (type: string, node: NodeObject) => {
    const told = { ...node, metadata: { ...node.metadata, resourceVersion: String(++version) } }
    if (type === 'DELETED') nodes.delete(node.metadata.name)
    else nodes.set(node.metadata.name, told)
    history.push({ type, told })
    for (const watch of watches) send(watch, type, told)
  }
  return {
    server: `http://127.0.0.1:${port}`,
    asked,
    put: (node: NodeObject) => change(nodes.has(node.metadata.name) ? 'MODIFIED' : 'ADDED', node),
    delete: (node: NodeObject) => change('DELETED', node),
    /** Takes what is asked, and never answers it. */
    beSilent(next: typeof silent) {
      silent = next
    },
    watching: () => watches.size,
    /** Writes a line to all watches, which stays what comes next for whoever asks from before it. */
    say(line: string) {
      said = { line, after: version++ }
      for (const watch of watches) watch.write(`${line}\n`)
    },
    /** Goes on to have the watches, and tells nothing on them any more. */
    fallSilent() {
      watches.clear()
    },
    endWatches,
    /** Ends all watches, and refuses those from before. */
    forget() {
      endWatches()
      forgotten = ++version
    },
  }
}
