import { testModel } from './model.ts'

testModel({ runs: 300 })
