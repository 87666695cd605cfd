"use strict";
// One utterance: who, how long, what went wrong, and the alignment of all systems that are shown.
(() => {
  const el = speechllm.el;
  const KINDS = { X: "sub", D: "del", I: "ins" };
  const RIGHT_TO_LEFT = /^[^\p{L}]*[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/u;
  const opened = new Set();

  const playButton = (row) => {
    const source = speechllm.audioOf(row);
    if (source.gone !== undefined)
      return el("span", { class: "no-audio", title: `No audio: ${source.gone}` }, "no audio");
    const label = `Play ${speechllm.set.ids[row]}`;
    return el(
      "button",
      {
        type: "button", class: "play", "data-row": row, tabindex: -1, "aria-label": label,
        "aria-pressed": "false", onclick: () => speechllm.toggle(row),
      },
    );
  };

  const badge = (kind, text, title) => el("span", { class: `badge ${kind}`, title }, text);

  const badges = (row, systems) => {
    const [a, b] = systems;
    const found = [];
    if (b && speechllm.hasB() && a.ops && b.ops) {
      const change = b.errors[row] - a.errors[row];
      const title = `errors: A ${a.errors[row]}, B ${b.errors[row]}`;
      if (change < 0) found.push(badge("good", b.errors[row] ? `better in B −${-change}` : "fixed by B", title));
      if (change > 0) found.push(badge("bad", a.errors[row] ? `worse in B +${change}` : "broken by B", title));
    }
    for (const system of systems) {
      const mark = speechllm.letterOf(system) || system.label;
      if (system.hyp[row] === null) found.push(badge("bad", `${mark}: no hypothesis`));
      for (const flag of system.flagRows.get(row) || []) {
        const first = system.firstRows.get(row);
        const title = first === undefined ? null : `before the retry: ${first}`;
        found.push(badge("flag", `${mark}: ${system.flags.names[flag]}${first === undefined ? "" : ", retried"}`, title));
      }
    }
    const why = speechllm.whyNot(row);
    if (why) found.push(badge("bad", why));
    return found;
  };

  const head = (row, systems) => {
    const { ids, speakers, seconds, words } = speechllm.set;
    const facts = [];
    if (speakers) {
      const speaker = speakers.names[speakers.rows[row]];
      if (speaker !== ids[row]) facts.push(speaker);
    }
    if (seconds) facts.push(`${seconds[row].toFixed(1)} s`);
    if (speechllm.set.refs) facts.push(`${words[row]} word${words[row] === 1 ? "" : "s"}`);
    return el(
      "div",
      { class: "head" },
      playButton(row),
      el("span", { class: "id" }, el("bdi", {}, ids[row])),
      el("span", { class: "facts" }, facts.join(" · ")),
      ...badges(row, systems),
    );
  };

  const gutter = (tag, name, figure, title) =>
    el(
      "span",
      { class: "gutter", title },
      el("b", { class: `tag ${tag.toLowerCase()}` }, tag),
      el("span", { class: "name" }, name),
      el("span", { class: "figure" }, figure),
    );

  const gutters = (row, systems) => [
    gutter("REF", "", ""),
    ...systems.map((system) =>
      gutter(
        speechllm.letterOf(system) || "·",
        system.label,
        system.ops ? `${speechllm.percent(system.wer[row], 0)}` : "",
        system.ops
          ? `${system.label}: WER ${speechllm.percent(system.wer[row])} %, ${system.subs[row]} substituted, ` +
            `${system.dels[row]} deleted, ${system.inss[row]} inserted` +
            (system.confidence && system.confidence[row] !== null ? `, confidence ${system.confidence[row]} %` : "")
          : `${system.label}: not scored as ASR`,
      ),
    ),
  ];

  const word = (kind, text) =>
    el("span", { class: `w ${kind}` }, el("bdi", {}, text));

  const aligned = (row, systems) => {
    const entities = speechllm.set.entityRows.get(row) || [];
    const wrong = speechllm.wrongEntities(row, systems[0]);
    return speechllm.alignColumns(row, systems).map(({ ref, at, cells }) => {
      const own = entities.findIndex(([, start, length]) => start <= at && at < start + length);
      const reference = ref === null ? word("gap", "") : word(own < 0 ? "" : wrong.has(own) ? "entity bad" : "entity", ref);
      if (own >= 0 && ref !== null) {
        const type = speechllm.set.entities.types[entities[own][0]];
        reference.title = `${type}: ${speechllm.entityText(row, entities[own])}`;
      }
      return el(
        "span",
        { class: "column" },
        reference,
        ...cells.map((cell, i) => {
          if (cell === null) return word("gap", "");
          const shown = word(KINDS[cell.kind] || "", cell.word);
          const starts = systems[i].startRows.get(row);
          if (starts && cell.kind !== "D" && starts[cell.at] >= 0) {
            shown.classList.add("timed");
            shown.title = `${(starts[cell.at] / 100).toFixed(2)} s`;
            shown.addEventListener("click", () => speechllm.play(row, starts[cell.at] / 100));
          }
          return shown;
        }),
      );
    });
  };

  const plainLine = (tag, name, text, absent) =>
    el(
      "div",
      { class: "plain" },
      el("b", { class: `tag ${tag.toLowerCase()}` }, tag),
      el("span", { class: "name" }, name),
      el("p", { dir: "auto", class: text === null || text === "" ? "soft" : null }, text || absent),
    );

  const plainLines = (row, systems, withReference) => {
    const { refs, answers } = speechllm.set;
    const lines = withReference && refs ? [plainLine("REF", "", refs[row], "(empty)")] : [];
    if (withReference && answers) lines.push(plainLine("=", "expected", answers[row], "(empty)"));
    for (const system of systems) {
      const absent = system.hyp[row] === null ? "(no hypothesis)" : "(empty)";
      lines.push(plainLine(speechllm.letterOf(system) || "·", system.label, system.hyp[row], absent));
      const first = system.firstRows.get(row);
      if (first !== undefined) lines.push(plainLine("·", "before the retry", first, "(empty)"));
    }
    return lines;
  };

  // What a screen reader hears in place of the columns.
  const spoken = (row, systems) => {
    const parts = speechllm.set.refs ? [`reference: ${speechllm.set.refs[row]}.`] : [];
    for (const system of systems) {
      const errors = system.ops ? `, ${system.errors[row]} errors` : "";
      parts.push(`${system.label}${errors}: ${system.hyp[row] ?? "no hypothesis"}.`);
    }
    return parts.join(" ");
  };

  speechllm.isOpen = (row) => opened.has(row);
  speechllm.toggleOpen = (row) => {
    if (!opened.delete(row)) opened.add(row);
    speechllm.list.refresh(row);
  };

  speechllm.makeRow = (row, systems) => {
    const scored = systems.filter((system) => system.ops);
    const others = systems.filter((system) => !system.ops);
    const article = el("article", { class: "utt", "data-row": row, tabindex: -1, "aria-label": speechllm.set.ids[row] });
    article.append(head(row, systems), el("div", { class: "progress", "data-row": row, hidden: true }, el("i")));
    article.append(el("p", { class: "vh" }, spoken(row, systems)));
    if (scored.length && speechllm.set.refs) {
      const grid = el("div", { class: "alignment", "aria-hidden": "true" });
      const labels = el("div", { class: "gutters" }, ...gutters(row, scored));
      const columns = el("div", { class: "columns" }, ...aligned(row, scored));
      if (RIGHT_TO_LEFT.test(speechllm.set.refs[row])) columns.dir = "rtl";
      grid.append(labels, columns);
      article.append(grid);
    }
    if (others.length || !speechllm.set.refs)
      article.append(...plainLines(row, others, !scored.length));
    if (opened.has(row))
      article.append(el("div", { class: "full" }, ...plainLines(row, systems, true)));
    return article;
  };
})();
