import { variant } from '../good.ts'

export default variant(() => ({ async collectGarbage() {} }))
