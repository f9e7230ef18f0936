export { after, hangs, hangsForever, rejects, resolves, throws } from './answers.ts'
export { type FakeHost, type FakeHostOptions, fakeHost, fakePod } from './fake-host.ts'
export { type CniAnswers, type CniLike, type CniMethod, type MockCNI, mockCni } from './mock-cni.ts'
export {
  type Answer,
  type Answers,
  type MockNetworkPlugin,
  type MockNetworkPluginOptions,
  mockNetworkPlugin,
  type PluginCall,
  type PluginMethod,
} from './mock-network-plugin.ts'
export { ipJson, isIsolated, type NetnsFixture, type TestNetns, useNetns, withTempNetns } from './netns.ts'
export { type LogEntry, type RecordingLogger, recordingLogger } from './recording-logger.ts'
