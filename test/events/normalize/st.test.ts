import t from 'tap'
import { checkTable } from './table.ts'

t.test('names and codes of states are two or three letters', async (t) => {
  checkTable(t, 'st', [
    ['California', 'ca'],
    ['US-CA', 'ca'],
    ['us-ca', 'ca'],
    ['CA', 'ca'],
    ['N.Y.', 'ny'],
    ['N Y', 'ny'],
    ['new  york', 'ny'],
    ['New-York', 'ny'],
    ['District of Columbia', 'dc'],
    ['Washington, D.C.', 'dc'],
    ['D.C.', 'dc'],
    ['Washington', 'wa'],
    ['Puerto Rico', 'pr'],
    ['U.S. Virgin Islands', 'vi'],
    ['Hawaiʻi', 'hi'],
    ['Québec', 'qc'],
    ['QUEBEC', 'qc'],
    ['Colombie-Britannique', 'bc'],
    ['Île-du-Prince-Édouard', 'pe'],
    ['ile du prince edouard', 'pe'],
    ['Nouvelle-Écosse', 'ns'],
    ['Newfoundland & Labrador', 'nl'],
    ['Terre-Neuve-et-Labrador', 'nl'],
    ['CA-ON', 'on'],
    ['New South Wales', 'nsw'],
    ['NSW', 'nsw'],
    ['Western Australia', 'wa'],
    ['DE-BY', 'by'],
    ['GB-ENG', 'eng'],
    ['FR-75C', '75c'],
    ['JP-13', '13'],
    ['13', '13'],
    [13, '13'],
    ['NA', 'na'],
  ])
})

t.test('other names are dropped', async (t) => {
  checkTable(t, 'st', [
    ['Bayern', '(unreadable)'],
    ['Baja California', '(unreadable)'],
    ['Île-de-France', '(unreadable)'],
    ['東京都', '(unreadable)'],
    ['Ñu', '(unreadable)'],
    ['AT-9', '(unreadable)'],
    ['X', '(unreadable)'],
    ['Al-Ain', '(unreadable)'],
    ['California, US', '(unreadable)'],
    ['California'.repeat(20), '(unreadable)'],
    ['none', '(placeholder)'],
    ['n/a', '(placeholder)'],
    ['N.A.', '(placeholder)'],
    ['(null)', '(unreadable)'],
    ['na.n', '(placeholder)'],
  ])
})

t.test('a name means the state only in its own country', async (t) => {
  checkTable(t, 'st', [['Georgia', 'ga']], { country: 'us' })
  checkTable(t, 'st', [['Georgia', '(unreadable)']], { country: 'ge' })
  checkTable(t, 'st', [['Puerto Rico', 'pr']], { country: 'pr' })
  checkTable(t, 'st', [['Ontario', '(unreadable)']], { country: 'us' })
  checkTable(t, 'st', [['Ontario', 'on']], { country: 'ca' })
  checkTable(t, 'st', [['Victoria', 'vic']], { country: 'au' })
  checkTable(t, 'st', [['Victoria', '(unreadable)']], { country: 'ca' })
  checkTable(t, 'st', [['US-California', 'ca']], { country: 'us' })
  checkTable(t, 'st', [['by', 'by']], { country: 'de' })
  checkTable(t, 'st', [['de-by', 'by']], { country: 'de' })
  checkTable(t, 'st', [['al-ain', '(unreadable)']], { country: 'ae' })
  checkTable(t, 'st', [['DE-BY', 'by']], { country: 'us' })
})
