import { variant } from '../good.ts'

export default variant(() => ({ getPodNetworkStatus: async () => ({ ip: '10.213.0.2' }) }))
