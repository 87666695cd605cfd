"use strict";
// From the state to the rows that are listed, in their order.
(() => {
  const range = (low, high, value) => {
    const [from, to] = [low === "" ? -Infinity : Number(low), high === "" ? Infinity : Number(high)];
    return (row) => value(row) >= from && value(row) <= to;
  };

  const confusion = (pick, systems) => {
    const [kind, one, other] = pick.split(" ");
    const wanted = { X: [one, other], D: [one, null], I: [null, one] }[kind];
    if (!wanted) return () => false;
    const letter = { X: "X", D: "D", I: "I" }[kind];
    return (row) =>
      systems.some((system) => {
        if (!system.ops || !system.ops[row].includes(letter)) return false;
        let found = false;
        speechllm.walk(row, system, (k, ref, hyp) => {
          found ||= k === letter && ref === wanted[0] && hyp === wanted[1];
        });
        return found;
      });
  };

  const entity = (pick) => {
    let [type, text] = [null, null];
    try { [type, text] = JSON.parse(pick); } catch { return () => false; }
    const kind = speechllm.set.entities ? speechllm.set.entities.types.indexOf(type) : -1;
    return (row) =>
      (speechllm.set.entityRows.get(row) || []).some(
        (e) => e[0] === kind && (text === null || speechllm.entityText(row, e) === text),
      );
  };

  const search = (query, scope, systems) => {
    const { ids, refs } = speechllm.set;
    const wanted = query.toLowerCase().normalize("NFC");
    const holds = (text) => Boolean(text) && text.toLowerCase().includes(wanted);
    const places = {
      ref: (row) => refs && holds(refs[row]),
      hyp: (row) => systems.some((system) => holds(system.hyp[row])),
      id: (row) => holds(ids[row]),
    };
    return places[scope] || ((row) => places.ref(row) || places.id(row) || places.hyp(row));
  };

  const COMPARISONS = {
    differ: (a, b) => (row) => a.hyp[row] !== b.hyp[row],
    fixed: (a, b) => (row) => a.errors[row] > 0 && b.errors[row] === 0,
    broken: (a, b) => (row) => a.errors[row] === 0 && b.errors[row] > 0,
    better: (a, b) => (row) => b.errors[row] < a.errors[row],
    worse: (a, b) => (row) => b.errors[row] > a.errors[row],
  };
  const ERRORS = {
    wrong: (a) => (row) => a.errors[row] > 0,
    right: (a) => (row) => a.errors[row] === 0,
    sub: (a) => (row) => a.subs[row] > 0,
    del: (a) => (row) => a.dels[row] > 0,
    ins: (a) => (row) => a.inss[row] > 0,
  };

  const predicates = (state, systems) => {
    const set = speechllm.set;
    const [a, b] = systems;
    const tests = [];
    if (state.spk !== "" && set.speakers) {
      const speaker = set.speakers.names.indexOf(state.spk);
      tests.push((row) => set.speakers.rows[row] === speaker);
    }
    const ranges = [
      ["len", (row) => set.words[row]],
      ["sec", set.seconds && ((row) => set.seconds[row])],
      ["wer", a.ops && ((row) => a.wer[row])],
      ["conf", a.confidence && ((row) => a.confidence[row] ?? -1)],
    ];
    for (const [name, value] of ranges) {
      const [low, high] = [state[`${name}0`], state[`${name}1`]];
      if (value && (low !== "" || high !== "")) tests.push(range(low, high, value));
    }
    if (state.err === "missing") tests.push((row) => a.hyp[row] === null);
    else if (a.ops && ERRORS[state.err]) tests.push(ERRORS[state.err](a));
    if (speechllm.hasB() && COMPARISONS[state.cmp] && ((a.ops && b.ops) || state.cmp === "differ"))
      tests.push(COMPARISONS[state.cmp](a, b));
    if (state.ent !== "all" && set.entities) {
      tests.push((row) => set.entityRows.has(row));
      if (state.ent !== "has") {
        const wrong = state.ent === "wrong";
        tests.push((row) => speechllm.wrongEntities(row, a).size > 0 === wrong);
      }
    }
    if (state.flag === "*") tests.push((row) => a.flagRows.has(row));
    else if (state.flag !== "") {
      const flag = a.flags.names.indexOf(state.flag);
      tests.push((row) => (a.flagRows.get(row) || []).includes(flag));
    }
    if (state.audio !== "all") {
      const gone = state.audio === "gone";
      tests.push((row) => (typeof set.audio.entries[row] === "number") === gone);
    }
    if (state.q !== "") tests.push(search(state.q, state.in, systems));
    if (state.e !== "") tests.push(entity(state.e));
    if (state.c !== "") tests.push(confusion(state.c, speechllm.compared()));
    return tests;
  };

  // Name in the menu, and what to sort by; null where the set or the systems have no such thing.
  speechllm.ORDERS = {
    id: { label: "id", value: () => null },
    wer: { label: "WER of A", value: (a) => a.wer && ((row) => a.wer[row]) },
    errors: { label: "errors of A", value: (a) => a.errors && ((row) => a.errors[row]) },
    change: {
      label: "errors, B − A",
      value: (a, b) => b && a.errors && b.errors && ((row) => b.errors[row] - a.errors[row]),
    },
    words: { label: "words", value: () => (row) => speechllm.set.words[row] },
    seconds: {
      label: "seconds",
      value: () => speechllm.set.seconds && ((row) => speechllm.set.seconds[row]),
    },
    confidence: {
      label: "confidence of A",
      value: (a) => a.confidence && ((row) => a.confidence[row] ?? NaN),
    },
    speaker: {
      label: "speaker",
      value: () => speechllm.set.speakers && ((row) => speechllm.set.speakers.rows[row]),
    },
  };

  speechllm.select = (state, systems) => {
    const tests = predicates(state, systems);
    const rows = [];
    for (let row = 0; row < speechllm.set.size; row++)
      if (tests.every((test) => test(row))) rows.push(row);
    const value = speechllm.ORDERS[state.sort]?.value(...speechllm.pair());
    if (value) {
      const keys = Float64Array.from({ length: speechllm.set.size }, () => NaN);
      for (const row of rows) keys[row] = value(row);
      const sign = state.desc ? -1 : 1;
      rows.sort((one, other) => {
        const [a, b] = [keys[one], keys[other]];
        if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
        return a === b ? one - other : sign * (a < b ? -1 : 1);
      });
    } else if (state.desc) rows.reverse();
    return rows;
  };
})();
