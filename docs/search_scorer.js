/* Where pages match alike, those that explain come first, and those that record come last. */
var Scorer = {
  score: ([page, , , , score]) => {
    if (/^(guides|auto_course|coming_from|faq)/.test(page)) return score + 2;
    return /^(project|benchmarks)/.test(page) ? score - 4 : score;
  },

  // as Sphinx has them
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
