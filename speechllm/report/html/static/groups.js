"use strict";
// WER by length and by speaker, in the utterances that are listed.
(() => {
  const el = speechllm.el;
  const BINS = [[0, 0], [1, 5], [6, 10], [11, 20], [21, 40], [41, null]]; // those of wer.json

  const tally = (groupOf, compared) => {
    const groups = new Map();
    for (const row of speechllm.list.rows) {
      const name = groupOf(row);
      if (!groups.has(name)) groups.set(name, { utterances: 0, words: 0, errors: compared.map(() => 0) });
      const group = groups.get(name);
      group.utterances++;
      group.words += speechllm.set.words[row];
      compared.forEach((system, i) => { group.errors[i] += system.errors[row]; });
    }
    return groups;
  };

  const wer = (group, i) => (group.words ? (100 * group.errors[i]) / group.words : NaN);

  const table = (first, groups, names, pick, isOn, labelOf) => {
    const compared = speechllm.compared();
    const there = names.filter((name) => groups.has(name));
    const most = Math.max(1, ...there.flatMap((n) => compared.map((_, i) => wer(groups.get(n), i) || 0)));
    const heads = [[first, "text"], ["utts", "number"], ["words", "number"],
      ...compared.map((s) => [`WER ${speechllm.letterOf(s)}`, "number", s.label]), ["", "bars"]];
    return speechllm.panelTable(heads, there.map((name) => {
      const group = groups.get(name);
      return {
        cells: [
          el("bdi", {}, labelOf(name)), speechllm.count(group.utterances), speechllm.count(group.words),
          ...compared.map((_, i) => speechllm.percent(wer(group, i))),
          el("span", { class: "bars" }, ...compared.map((_, i) =>
            speechllm.bar((wer(group, i) || 0) / most, "ab"[i]))),
        ],
        on: isOn(name),
        pick: () => speechllm.change(pick(name, isOn(name))),
      };
    }));
  };

  const isScored = () => speechllm.chosen()[0].scored;

  speechllm.panels.length = {
    label: "Length",
    isThere: isScored,
    draw: () => {
      const binOf = (row) => {
        const words = speechllm.set.words[row];
        return BINS.findIndex(([low, high]) => words >= low && (high === null || words <= high));
      };
      const bounds = (bin) => ({ len0: String(BINS[bin][0]), len1: String(BINS[bin][1] ?? "") });
      const isOn = (bin) => {
        const { len0, len1 } = bounds(bin);
        return speechllm.state.len0 === len0 && speechllm.state.len1 === len1;
      };
      const label = (bin) => {
        const [low, high] = BINS[bin];
        return high === null ? `${low} and more` : low === high ? `${low}` : `${low} to ${high}`;
      };
      return [
        el("p", { class: "soft" }, "WER by words in the reference, in the utterances listed."),
        table("words", tally(binOf, speechllm.compared()), BINS.map((_, bin) => bin),
          (bin, on) => (on ? { len0: "", len1: "" } : bounds(bin)), isOn, label),
      ];
    },
  };

  speechllm.panels.speakers = {
    label: "Speakers",
    isThere: () => isScored() && Boolean(speechllm.set.speakers) && speechllm.set.speakers.names.length > 1,
    draw: () => {
      const { names, rows } = speechllm.set.speakers;
      const groups = tally((row) => rows[row], speechllm.compared());
      const sorted = [...groups.keys()].sort((a, b) => (wer(groups.get(b), 0) || 0) - (wer(groups.get(a), 0) || 0));
      return [
        el("p", { class: "soft" }, "WER by speaker, the worst for A first, in the utterances listed."),
        table("speaker", groups, sorted,
          (speaker, on) => ({ spk: on ? "" : names[speaker] }),
          (speaker) => speechllm.state.spk === names[speaker], (speaker) => names[speaker]),
      ];
    },
  };
})();
