"use strict";
// The most frequent confusions of A and B, in the utterances that are listed.
(() => {
  const el = speechllm.el;
  const MOST = 200;

  const tally = (rows, system, counts, side) => {
    for (const row of rows)
      if (system.errors[row])
        speechllm.walk(row, system, (kind, ref, hyp) => {
          if (kind === "=") return;
          const key = kind === "X" ? `X ${ref} ${hyp}` : kind === "D" ? `D ${ref}` : `I ${hyp}`;
          let pair = counts.get(key);
          if (!pair) counts.set(key, (pair = [0, 0]));
          pair[side]++;
        });
  };

  const name = (key) => {
    const [kind, one, other] = key.split(" ");
    const word = (text, look) => el("span", { class: `w ${look}` }, el("bdi", {}, text));
    if (kind === "D") return el("span", { class: "what" }, word(one, "del"));
    if (kind === "I") return el("span", { class: "what" }, word(one, "ins"));
    return el("span", { class: "what" }, el("bdi", {}, one), " → ", word(other, "sub"));
  };

  speechllm.panels.confusions = {
    label: "Confusions",
    isThere: () => speechllm.chosen()[0].scored,
    draw: () => {
      const compared = speechllm.compared();
      const counts = new Map();
      compared.forEach((system, side) => tally(speechllm.list.rows, system, counts, side));
      const sorted = [...counts].sort(
        ([k, a], [l, b]) => b[0] - a[0] || b[1] - a[1] || (k < l ? -1 : 1),
      );
      const heads = [["confusion", "text"], ...compared.map((s) => [speechllm.letterOf(s), "number", s.label])];
      const rows = sorted.slice(0, MOST).map(([key, pair]) => ({
        cells: [name(key), ...compared.map((_, i) => speechllm.count(pair[i]))],
        on: speechllm.state.c === key,
        pick: () => speechllm.change({ c: speechllm.state.c === key ? "" : key }),
      }));
      const all = speechllm.count(sorted.length);
      const note = sorted.length > MOST ? `The ${MOST} most frequent of ${all}` : all;
      return [
        el("p", { class: "soft" }, `${note} in the utterances listed. A click lists those with it.`),
        speechllm.panelTable(heads, rows),
      ];
    },
  };
})();
