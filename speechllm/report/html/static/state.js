"use strict";
// What the reader has chosen. All of it is in the link after "#", so that a link gives this view.
(() => {
  const defaults = {
    a: "", b: "", more: "", q: "", in: "any", cmp: "all", err: "all", ent: "all", flag: "", audio: "all",
    spk: "", wer0: "", wer1: "", len0: "", len1: "", sec0: "", sec1: "", conf0: "", conf1: "",
    c: "", e: "", sort: "id", desc: "", tab: "systems", u: "",
  };
  const listeners = [];

  const read = () => {
    const state = { ...defaults };
    for (const [name, value] of new URLSearchParams(location.hash.slice(1)))
      if (Object.hasOwn(defaults, name)) state[name] = value;
    return state;
  };

  const write = () => {
    const chosen = Object.entries(speechllm.state).filter(([name, value]) => value !== defaults[name]);
    const hash = new URLSearchParams(chosen).toString();
    if (hash === location.hash.slice(1)) return;
    try {
      history.replaceState(null, "", `#${hash}`);
    } catch { // a browser that lets no page from disk do so
      location.hash = hash;
    }
  };

  const changed = (before) => {
    const names = new Set(Object.keys(defaults).filter((n) => before[n] !== speechllm.state[n]));
    if (names.size) for (const listener of listeners) listener(names);
  };

  speechllm.state = read();
  speechllm.defaults = defaults;
  // listener(names): a set of the names that have changed
  speechllm.onChange = (listener) => listeners.push(listener);
  speechllm.change = (patch) => {
    const before = speechllm.state;
    speechllm.state = { ...before, ...patch };
    write();
    changed(before);
  };

  // What a new view keeps: the systems, their order, and the open table.
  const kept = ["a", "b", "more", "sort", "desc", "tab", "u"];
  speechllm.isFilter = (name) => !kept.includes(name) && name !== "in";
  speechllm.clearFilters = () =>
    speechllm.change(
      Object.fromEntries(Object.entries(defaults).filter(([name]) => !kept.includes(name))),
    );

  window.addEventListener("hashchange", () => {
    const before = speechllm.state;
    speechllm.state = read();
    changed(before);
  });

  const named = (key) => speechllm.systems.find((system) => system.key === key);
  // The systems that are shown: A, B if there is one, and others.
  speechllm.chosen = () => {
    const { a, b, more } = speechllm.state;
    const first = named(a) || speechllm.systems[0];
    const second = b === "none" ? null : named(b) || speechllm.rival(first);
    const rest = more ? more.split(" ").map(named) : [];
    return [...new Set([first, second, ...rest])].filter(Boolean);
  };
  speechllm.hasB = () => speechllm.state.b !== "none" && speechllm.chosen().length > 1;
  // A, and B if there is one; with only those that are aligned.
  speechllm.pair = () => speechllm.chosen().slice(0, speechllm.hasB() ? 2 : 1);
  speechllm.compared = () => speechllm.pair().filter((system) => system.ops);
  speechllm.letterOf = (system) => ["A", "B"][speechllm.pair().indexOf(system)] || "";

  // What A is compared with at first: the best of the others.
  speechllm.rival = (first) => {
    const error = (system) => system.figures[0]?.percent ?? Infinity;
    const others = speechllm.systems.filter((system) => system !== first);
    return others.reduce((best, s) => (best === null || error(s) < error(best) ? s : best), null);
  };
})();
