export {
  type ConnectOptions,
  connectNetworkHost,
  type DaemonDescription,
  type RemoteNetworkHost,
  socketOf,
} from './connect.ts'
export { type StreamedEvent, type StreamOptions, streamEvents } from './event-stream.ts'
export { assertSocketTrusted } from './trust.ts'
