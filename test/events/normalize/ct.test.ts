import t from 'tap'
import { checkTable } from './table.ts'

t.test('cities are the letters, marks and digits alone', async (t) => {
  checkTable(t, 'ct', [
    ['St. Louis', 'stlouis'],
    ['São Paulo', 'sãopaulo'],
    ['Sa\u0303o Paulo', 'sãopaulo'],
    ['New York', 'newyork'],
    ['NEW\u00a0YORK', 'newyork'],
    ["L'Aquila", 'laquila'],
    ['L’Haÿ-les-Roses', 'lhaÿlesroses'],
    ['Saint-Étienne', 'saintétienne'],
    ['Frankfurt (Main)', 'frankfurtmain'],
    ['Frankfurt/Oder', 'frankfurtoder'],
    ['Villingen–Schwenningen', 'villingenschwenningen'],
    ["'s-Hertogenbosch", 'shertogenbosch'],
    ['Paris 12', 'paris12'],
    ['Ağrı', 'ağrı'],
    ['İzmir', 'i\u0307zmir'],
    ['Łódź', 'łódź'],
    ['Þorlákshöfn', 'þorlákshöfn'],
    ['ΆΓΙΟΣ ΝΙΚΌΛΑΟΣ', 'άγιοςνικόλαος'],
    ['Санкт-Петербург', 'санктпетербург'],
    ['東京都 千代田区', '東京都千代田区'],
    ['서울특별시', '서울특별시'],
    ['नई दिल्ली', 'नईदिल्ली'],
    ['กรุงเทพฯ', 'กรุงเทพฯ'],
    ['تل\u00a0أبيب', 'تلأبيب'],
    ['Bury &amp; Ely', 'buryely'],
    ['L&#39;Aquila', 'laquila'],
    ['K&ouml;ln', 'köln'],
    ['Null', 'null'],
    ['Na', 'na'],
  ])
})

t.test('a city of punctuation alone, or a placeholder in disguise, is dropped', async (t) => {
  checkTable(t, 'ct', [
    ['...', '(unreadable)'],
    ['🙂', '(unreadable)'],
    ['-', '(placeholder)'],
    ['un known', '(placeholder)'],
    ['(Unknown)', '(placeholder)'],
    ['10115', '(unreadable)'],
    ['#', '(unreadable)'],
    ['Bury St. Edmunds &amp;amp; Ely', '(unreadable)'],
    ['n/a', '(placeholder)'],
  ])
})
