/**
 * Distinguishing signs of vehicles in international traffic, as the United Nations list them (UNECE, Vienna Convention on Road
 * Traffic, annex 3), beside the country's ISO code. People write them before postcodes: `D-10115`. Former ones are among them
 * (SF, MK, CS).
 */
export function signsOf(country: string): readonly string[] {
  return SIGNS.get(country) ?? []
}

const SIGNS: ReadonlyMap<string, readonly string[]> = new Map(
  `at A; ad AND; au AUS; ba BIH; be B; br BR; ca CDN; cl RCH; cu C; cy CY; cz CZ CS; de D; ee EST; es E; fi FIN SF; fo FR FO;
  fr F; gb UK GB; gg GBG; gi GBZ; hk HK; hu H; ie IRL; il IL; im GBM; in IND; it I; je GBJ; jp J; kr ROK; li FL; lt LT; lu L;
  mc MC; me MNE; mk NMK MK; mt M; mx MEX; my MAL; no N; nz NZ; ph RP; pt P; ru RUS; se S; si SLO; sm RSM; th T; tw RC;
  va V; vn VN; ar RA; co CO; kz KZ; kg KG; tj TJ; tm TM; uy ROU; ec EC; pe PE; py PY; ve YV; za ZA; id RI; sg SGP; ge GE; xk RKS;
  pr USA; us USA; ma MA; tn TN; dz DZ; eg ET; ir IR; iq IRQ; jo HKJ; kw KWT; lb RL; sa KSA; sy SYR; pk PK; bd BD; lk CL; np NEP;
  kh K; la LAO; mm MYA; mn MGL; gr GR; md MD; ua UA; uz UZ`
    .split(';')
    .map((entry) => {
      const [country = '', ...signs] = entry.trim().split(/\s+/)
      return [country, signs.map((sign) => sign.toLowerCase())] as const
    }),
)
