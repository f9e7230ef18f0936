export * from '@podwire/core'
