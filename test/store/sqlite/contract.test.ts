import t from 'tap'
import { testStore } from '../../contract/store.ts'
import { layGround } from './ground.ts'

testStore(t, layGround)
