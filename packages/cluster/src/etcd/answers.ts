import { once } from '@podwire/api'
import * as z from 'zod/mini'

/** A key with its value. Revisions count all changes of an etcd. */
export interface KeyValue {
  readonly key: string
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  /** The id of the lease that it ends with; undefined: it has no end. */
  readonly lease?: string
}

// Numbers of 64 bits come as strings, and what is 0, false or empty is left out.
const int64 = z.pipe(
  z._default(z.union([z.string(), z.number()]), '0'),
  z.transform((value, context) => {
    const number = Number(value)
    if (Number.isSafeInteger(number)) return number
    context.issues.push({ code: 'custom', message: 'not a number that can be counted with', input: value })
    return 0
  }),
)
const id = z._default(z.union([z.string(), z.pipe(z.number(), z.transform(String))]), '0')
const bytes = z.pipe(
  z._default(z.string(), ''),
  z.transform((text) => Buffer.from(text, 'base64').toString('utf8')),
)

const header = once(() => z._default(z.object({ revision: int64 }), { revision: 0 }))

const keyValue = once(() =>
  z.pipe(
    z.object({ key: bytes, value: bytes, create_revision: int64, mod_revision: int64, lease: id }),
    z.transform(
      ({ key, value, create_revision, mod_revision, lease }): KeyValue => ({
        key,
        value,
        createRevision: create_revision,
        modRevision: mod_revision,
        ...(lease === '0' ? {} : { lease }),
      }),
    ),
  ),
)

export const rangeAnswer = once(() =>
  z.pipe(
    z.object({
      header: header(),
      kvs: z._default(z.array(z.looseObject({ key: z._default(z.string(), '') })), []),
      more: z._default(z.boolean(), false),
    }),
    z.transform(({ header, kvs, more }) => ({
      header,
      more,
      // As etcd has it: it need not be text.
      lastKey: Buffer.from(kvs.at(-1)?.key ?? '', 'base64'),
      kvs: kvs.map((one): KeyValue => keyValue().parse(one)),
    })),
  ),
)

export const transactionAnswer = once(() =>
  z.object({
    header: header(),
    succeeded: z._default(z.boolean(), false),
    responses: z._default(
      z.array(
        z.object({ response_range: z.optional(z.object({ kvs: z._default(z.array(keyValue()), []) })) }),
      ),
      [],
    ),
  }),
)

export const grantAnswer = once(() => z.object({ ID: id, TTL: int64 }))

/** TTL is -1 of a lease that has ended. */
export const timeToLiveAnswer = once(() => z.object({ TTL: int64, grantedTTL: int64 }))

export const keepAliveAnswer = once(() => z.object({ result: z.object({ ID: id, TTL: int64 }) }))

export const authenticateAnswer = once(() => z.object({ token: z.string() }))

export const emptyAnswer = once(() => z.object({}))

export const failureAnswer = once(() =>
  z.object({ error: z.optional(z.string()), message: z.optional(z.string()), code: z.optional(z.number()) }),
)

/** A line of a watch: what happened, or that it ends and why. */
export const watchLine = once(() =>
  z.object({
    result: z.optional(
      z.object({
        header: header(),
        created: z._default(z.boolean(), false),
        canceled: z._default(z.boolean(), false),
        cancel_reason: z._default(z.string(), ''),
        compact_revision: int64,
        events: z._default(z.array(z.object({ type: z._default(z.string(), 'PUT'), kv: keyValue() })), []),
      }),
    ),
    error: z.optional(z.object({ message: z._default(z.string(), ''), grpc_code: z.optional(z.number()) })),
  }),
)
