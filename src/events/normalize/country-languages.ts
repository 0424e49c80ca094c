/**
 * The languages spoken in each country: Unicode CLDR's locales (what ICU 78 resolves `language-COUNTRY` to), since
 * Intl cannot be asked for a country's languages. English is left out; it is tried for every country.
 */
export function countriesByLanguage(): readonly (readonly [
  language: string,
  countries: readonly string[],
])[] {
  return LANGUAGES.trim()
    .split('\n')
    .map((line) => {
      const [language = '', countries = ''] = line.split(':')
      return [language.trim(), countries.trim().split(' ')] as const
    })
}

const LANGUAGES = `
  af: na za
  ak: gh
  am: et
  ar: dz bh td km dj eg er iq il jo kw lb ly mr ma om ps qa sa so sd sy tn ae eh ye ss
  as: in
  az: az
  ba: ru
  be: by
  bg: bg
  bm: ml
  bn: bd in
  bo: cn in
  br: fr
  bs: ba
  ca: ad fr it es
  ce: ru
  ckb: ir iq
  cs: cz
  cv: ru
  cy: gb
  da: dk gl
  de: at be de it li lu ch
  dv: mv
  dz: bt
  ee: gh tg
  el: cy gr
  es: ar bz bo br cl co cr cu do ec sv gq gt hn mx ni pa py pe ph pr es us uy ve
  et: ee
  eu: es
  fa: af ir
  ff: bf cm gm gh gn gw lr mr ne ng sn sl
  fi: fi
  fil: ph
  fo: dk fo
  fr: dz be bj bf bi cm ca cf td km cg cd ci dj gq fr gf pf ga gp gn ht lu mg ml mq mr mu yt mc ma nc ne re rw pm sn sc ch sy tg tn vu wf bl mf
  fy: nl
  ga: ie gb
  gd: gb
  gl: es
  gu: in
  gv: im
  ha: gh ne ng
  he: il
  hi: in
  hr: ba hr
  hu: hu
  hy: am
  id: id
  ie: ee
  ig: ng
  ii: cn
  is: is
  it: va it sm ch
  ja: jp
  jv: id
  ka: ge
  ki: ke
  kk: cn kz
  kl: gl
  km: kh
  kn: in
  ko: cn kp kr
  ks: in
  ku: iq sy tr
  kw: gb
  ky: kg
  lb: lu
  lg: ug
  ln: ao cf cg cd
  lo: la
  lt: lt
  lu: cd
  lv: lv
  mg: mg
  mi: nz
  mk: mk
  ml: in
  mn: mn
  mr: in
  ms: bn id my sg
  mt: mt
  my: mm
  nb: no
  nd: zw
  ne: in np
  nl: aw be nl sr bq cw sx
  nn: no
  no: no
  oc: fr es
  om: et ke
  or: in
  os: ge ru
  pa: in pk
  pl: pl
  ps: af pk
  pt: ao br cv gq gw lu mo mz pt st ch tl
  qu: bo ec pe
  rm: ch
  rn: bi
  ro: md ro
  ru: by kz kg md ru ua
  rw: rw
  sa: in
  sc: it
  sd: in pk
  se: fi no se
  sg: cf
  si: lk
  sk: sk
  sl: si
  sn: zw
  so: dj et ke so
  sq: al mk xk
  sr: ba me rs xk
  sr-Latn: ba me rs xk
  st: ls za
  su: id
  sv: fi se ax
  sw: cd ke tz ug
  ta: in my sg lk
  te: in
  tg: tj
  th: th
  ti: er et
  tk: tm
  tn: bw za
  to: to
  tr: cy tr
  tt: ru
  ug: cn
  uk: ua
  ur: in pk
  uz: af uz
  vi: vn
  wo: sn
  xh: za
  yi: ua
  yo: bj ng
  za: cn
  zh: cn hk mo my sg tw
  zh-Hant: tw hk mo
  zu: za`
