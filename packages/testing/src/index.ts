export { createFakeHost, type FakeHost, type FakePod } from './fake-host.ts'
export {
  createMockNetworkPlugin,
  type MockAnswer,
  type MockCall,
  type MockNetworkPlugin,
} from './mock-network-plugin.ts'
export { createRecordingLogger, type LogLine, type RecordingLogger } from './recording-logger.ts'
export { createTempNetns, isIsolated, type TempNetns, withTempNetns } from './temp-netns.ts'
