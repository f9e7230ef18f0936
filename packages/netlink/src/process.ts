import { checked, native } from './native.ts'

const PR_SET_PDEATHSIG = 1
const SIGKILL = 9
const RLIMIT_DATA = 2

/** Has the kernel kill this process when the thread that started it ends, however that ends. */
export function endWithParent(): void {
  checked(native().prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), 'end with the parent process', 'prctl')
}

/** Limits the memory that this process and those that it starts may each have for data. Bytes. */
export function limitMemory(bytes: number): void {
  const limit = BigUint64Array.of(BigInt(bytes), BigInt(bytes))
  checked(native().setrlimit(RLIMIT_DATA, limit), `limit the memory to ${bytes} bytes`, 'setrlimit')
}
