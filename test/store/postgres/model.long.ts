import { testModel } from './model.ts'

testModel({ runs: 200 })
