import { describe, test } from 'node:test'
import { describeNetworkPlugin } from '@podwire/testing/plugin'

// Everything that a host counts on, tried in real network namespaces: a test for each rule.
describeNetworkPlugin({ dir: new URL('..', import.meta.url) }, { describe, test })
