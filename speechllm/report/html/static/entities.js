"use strict";
// Entities that A and B got wrong, by type and by their words, in the utterances that are listed.
(() => {
  const el = speechllm.el;
  const MOST = 300;

  const tally = (compared) => {
    const { types } = speechllm.set.entities;
    const byType = new Map(types.map((type) => [type, [0, 0, 0]]));
    const byText = new Map();
    for (const row of speechllm.list.rows) {
      const wrong = compared.map((system) => speechllm.wrongEntities(row, system));
      (speechllm.set.entityRows.get(row) || []).forEach((entity, i) => {
        const type = types[entity[0]];
        const key = JSON.stringify([type, speechllm.entityText(row, entity)]);
        if (!byText.has(key)) byText.set(key, [0, 0, 0]);
        for (const counts of [byType.get(type), byText.get(key)]) {
          counts[0]++;
          wrong.forEach((set, side) => { counts[1 + side] += set.has(i); });
        }
      });
    }
    return [byType, byText];
  };

  const rate = (wrong, all) => (all ? ((100 * wrong) / all).toFixed(0) : "–");

  const table = (first, compared, rows) => {
    const share = "entities that are not wholly right: 100 − recall";
    const heads = [
      [first, "text"],
      ["all", "number"],
      ...compared.map((s) => [`wrong ${speechllm.letterOf(s)}`, "number", s.label]),
      ...compared.map((s) => [`${speechllm.letterOf(s)} %`, "number", `${s.label}, ${share}`]),
    ];
    return speechllm.panelTable(heads, rows);
  };

  const line = (name, counts, key, compared, title) => ({
    cells: [
      el("bdi", {}, name), speechllm.count(counts[0]),
      ...compared.map((_, i) => speechllm.count(counts[1 + i])),
      ...compared.map((_, i) => rate(counts[1 + i], counts[0])),
    ],
    title,
    on: speechllm.state.e === key,
    pick: () => speechllm.change({ e: speechllm.state.e === key ? "" : key }),
  });

  speechllm.panels.entities = {
    label: "Entities",
    isThere: () => Boolean(speechllm.set.entities) && speechllm.chosen()[0].scored,
    draw: () => {
      const compared = speechllm.compared();
      const [byType, byText] = tally(compared);
      const texts = [...byText].sort(([, a], [, b]) => b[1] - a[1] || b[0] - a[0]);
      return [
        el("p", { class: "soft" }, "Annotated entities that are not wholly right, in the utterances listed."),
        table("type", compared, [...byType].map(([type, counts]) =>
          line(type, counts, JSON.stringify([type, null]), compared))),
        table("entity", compared, texts.slice(0, MOST).map(([key, counts]) =>
          line(JSON.parse(key)[1], counts, key, compared, JSON.parse(key)[0]))),
        texts.length > MOST ? el("p", { class: "soft" }, `and ${texts.length - MOST} more`) : null,
      ].filter(Boolean);
    },
  };
})();
