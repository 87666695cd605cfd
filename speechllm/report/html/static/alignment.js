"use strict";
// Alignments, from the words of both sides and a string such as "3=1X2D1I".
(() => {
  const split = (text) => (text ? text.split(" ") : []);

  // Calls visit(kind, reference word or null, hypothesis word or null, place of each in its text).
  speechllm.walk = (row, system, visit) => {
    const reference = split(speechllm.set.refs[row]);
    const hypothesis = split(system.hyp[row]);
    let run = 0, r = 0, h = 0;
    for (const letter of system.ops[row]) {
      if (letter >= "0" && letter <= "9") {
        run = 10 * run + Number(letter);
        continue;
      }
      for (; run > 0; run--) {
        const ref = letter === "I" ? null : reference[r];
        const hyp = letter === "D" ? null : hypothesis[h];
        visit(letter, ref, hyp, r, h);
        if (ref !== null) r++;
        if (hyp !== null) h++;
      }
    }
  };

  // Columns of one utterance for several systems: a reference word, or null for a place where at
  // least one of them inserts, and a cell {kind, word, at} or null for each system.
  speechllm.alignColumns = (row, systems) => {
    const reference = split(speechllm.set.refs[row]);
    const parsed = systems.map((system) => {
      const own = { words: [], inserted: reference.map(() => []).concat([[]]) };
      speechllm.walk(row, system, (kind, ref, hyp, r, h) => {
        if (kind === "I") own.inserted[r].push({ kind, word: hyp, at: h });
        else own.words[r] = { kind, word: hyp === null ? ref : hyp, at: h };
      });
      return own;
    });
    const columns = [];
    for (let r = 0; r <= reference.length; r++) {
      const most = Math.max(...parsed.map((own) => own.inserted[r].length));
      for (let i = 0; i < most; i++)
        columns.push({ ref: null, at: r, cells: parsed.map((own) => own.inserted[r][i] || null) });
      if (r < reference.length)
        columns.push({ ref: reference[r], at: r, cells: parsed.map((own) => own.words[r]) });
    }
    return columns;
  };

  // Numbers of the row's entities that are not wholly right, as docs/scoring.md defines it.
  speechllm.wrongEntities = (row, system) => {
    system.wrongRows ??= new Map();
    if (system.wrongRows.has(row)) return system.wrongRows.get(row);
    const entities = speechllm.set.entityRows.get(row) || [];
    const wrong = new Set();
    if (entities.length && system.ops)
      speechllm.walk(row, system, (kind, ref, hyp, r) => {
        if (kind === "=") return;
        entities.forEach(([, start, length], i) => {
          const last = start + length - 1;
          // An insertion before the first word stands outside of the entity.
          if (kind === "I" ? start < r && r <= last : start <= r && r <= last) wrong.add(i);
        });
      });
    system.wrongRows.set(row, wrong);
    return wrong;
  };

  speechllm.entityText = (row, [, start, length]) =>
    split(speechllm.set.refs[row]).slice(start, start + length).join(" ");
})();
