"use strict";
// The data of the page. set.js calls addSet; each system has a script of its own, which calls
// addSystem and is loaded when the system is first shown.
(() => {
  const words = (text) => (text ? text.split(" ").length : 0);

  speechllm.addSet = (set) => {
    const size = set.ids.length;
    set.size = size;
    set.words = Int32Array.from({ length: size }, (_, row) => (set.refs ? words(set.refs[row]) : 0));
    set.rowOf = new Map(set.ids.map((id, row) => [id, row]));
    set.entityRows = new Map(set.entities ? set.entities.rows : []);
    speechllm.set = set;
    speechllm.systems = set.systems.map((about, number) => ({ ...about, number, loaded: null }));
  };

  speechllm.addSystem = (number, columns) => {
    const system = speechllm.systems[number];
    Object.assign(system, columns);
    system.flagRows = new Map(columns.flags.rows);
    system.firstRows = new Map(columns.first);
    system.startRows = new Map(columns.starts);
    if (system.ops) count(system);
  };

  // Errors of each utterance. WER of an empty reference: NaN, or Infinity with insertions.
  const count = (system) => {
    const size = speechllm.set.size;
    for (const name of ["subs", "dels", "inss", "errors"]) system[name] = new Int32Array(size);
    system.wer = new Float64Array(size);
    for (let row = 0; row < size; row++) {
      let run = 0;
      const ops = system.ops[row];
      for (let i = 0; i < ops.length; i++) {
        const code = ops.charCodeAt(i);
        if (code >= 48 && code <= 57) {
          run = 10 * run + code - 48;
          continue;
        }
        if (code === 88) system.subs[row] += run; // X
        else if (code === 68) system.dels[row] += run; // D
        else if (code === 73) system.inss[row] += run; // I
        run = 0;
      }
      const errors = system.subs[row] + system.dels[row] + system.inss[row];
      system.errors[row] = errors;
      system.wer[row] = (100 * errors) / speechllm.set.words[row];
    }
  };

  speechllm.load = (number) => {
    const system = speechllm.systems[number];
    system.loaded ??= new Promise((resolve, reject) => {
      const script = speechllm.el("script", {
        src: `data/${speechllm.set.slug}/system-${number}.js`,
        onload: () => resolve(system),
        onerror: () => reject(new Error(`${script.src} is missing`)),
      });
      document.head.append(script);
    });
    return system.loaded;
  };

  speechllm.audioOf = (row) => {
    const { entries, reasons } = speechllm.set.audio;
    const entry = entries[row];
    if (typeof entry === "number") return { gone: reasons[entry] };
    const [url, start, end] = Array.isArray(entry) ? entry : [entry, 0, null];
    return { url, start, end };
  };
})();
