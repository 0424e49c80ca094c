import { testModel } from './model.ts'

testModel({ runs: 8, seed: 1 })
