"use strict";
// Puts the parts together: a change of the state selects rows anew and shows them.
(() => {
  const { el, byId } = speechllm;
  let ticket = 0;

  const showFacts = () => {
    const { set, systems } = speechllm;
    const facts = [`${speechllm.count(set.size)} utterances`];
    if (set.seconds) {
      const minutes = set.seconds.reduce((sum, x) => sum + x, 0) / 60;
      facts.push(minutes < 90 ? `${minutes.toFixed(1)} min` : `${(minutes / 60).toFixed(1)} h`);
    }
    facts.push(`${systems.length} system${systems.length === 1 ? "" : "s"}`);
    facts.push(set.normalizer ? `normaliser ${set.normalizer}` : "not scored as ASR");
    byId("facts").textContent = facts.join(" · ");
  };

  const showRemarks = () => {
    const { remarks, audio, size } = speechllm.set;
    const gone = new Map();
    for (const entry of audio.entries)
      if (typeof entry === "number") gone.set(entry, (gone.get(entry) || 0) + 1);
    const who = (n) =>
      n === size ? "any utterance" : `${speechllm.count(n)} of ${speechllm.count(size)} utterances`;
    const silent = [...gone].map(([why, n]) => `no audio for ${who(n)}: ${audio.reasons[why]}`);
    const all = [...remarks, ...silent];
    byId("remarks").replaceChildren(...all.map((remark) => el("li", {}, remark)));
    byId("remarks").hidden = !all.length;
  };

  const showCount = (rows) => {
    const { set } = speechllm;
    const [listed, all] = [speechllm.count(rows.length), speechllm.count(set.size)];
    const parts = [rows.length === set.size ? `${all} utterances` : `${listed} of ${all} utterances`];
    if (rows.length && rows.length < set.size)
      for (const system of speechllm.compared()) {
        let [errors, words] = [0, 0];
        for (const row of rows) {
          errors += system.errors[row];
          words += set.words[row];
        }
        const letter = speechllm.letterOf(system);
        if (words) parts.push(`WER ${letter} ${((100 * errors) / words).toFixed(1)}`);
      }
    byId("count").textContent = parts.join(" · ");
    byId("nothing").hidden = rows.length > 0;
    byId("list").hidden = rows.length === 0;
  };

  const update = async () => {
    const mine = ++ticket;
    const systems = speechllm.chosen();
    await Promise.all(systems.map((system) => speechllm.load(system.number)));
    if (mine !== ticket) return; // the reader has gone on
    const rows = speechllm.select(speechllm.state, systems);
    speechllm.controls.show(systems);
    showCount(rows);
    speechllm.list.show(rows, systems, speechllm.state.u);
    speechllm.showPanel();
    performance.mark("rows");
  };

  const fail = (error) => {
    byId("count").textContent = `The data of this page cannot be loaded: ${error.message}`;
  };

  if (!speechllm.set) {
    fail(new Error("set.js is missing"));
    return;
  }
  showFacts();
  showRemarks();
  speechllm.list.start();
  speechllm.controls.start();
  speechllm.startPlayer();
  speechllm.startPanels();
  speechllm.startKeys();
  speechllm.startPrint();
  speechllm.onChange((names) => {
    if (names.size === 1 && names.has("u")) {
      const at = speechllm.list.rows.indexOf(speechllm.set.rowOf.get(speechllm.state.u));
      if (at >= 0 && at !== speechllm.list.place) speechllm.list.select(at);
    } else if (names.size === 1 && names.has("tab")) speechllm.showPanel();
    else update().catch(fail);
  });
  update().catch(fail);
})();
