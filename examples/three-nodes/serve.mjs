// Tells everybody who asks by which address it saw them.
import { createServer } from 'node:http'

createServer(({ socket }, response) => response.end(`Hello from the pod, ${socket.remoteAddress}\n`)).listen(
  80,
  '::',
)
