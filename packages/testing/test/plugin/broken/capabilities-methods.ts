import { variant } from '../good.ts'

export default variant(() => ({ capabilities: () => 0 }))
