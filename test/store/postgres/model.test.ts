import { testModel } from './model.ts'

testModel({ runs: 4, seed: 1 })
