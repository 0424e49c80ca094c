import { testModel } from './model.ts'

testModel({ runs: 2, seed: 1 })
