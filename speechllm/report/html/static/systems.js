"use strict";
// The table of systems: their figures, and which of them are shown as A, B or below.
(() => {
  const el = speechllm.el;

  speechllm.setA = (system) => {
    const { state } = speechllm;
    const [a, b] = speechllm.chosen();
    const exchanged = system === b ? { b: a.key } : {};
    speechllm.change({ b: speechllm.hasB() ? b.key : state.b, ...exchanged, a: system.key });
  };

  speechllm.setB = (system) => {
    const [a, b] = speechllm.chosen();
    if (system === a) return;
    speechllm.change({ a: a.key, b: speechllm.hasB() && system === b ? "none" : system.key });
  };

  const toggleMore = (system) => {
    const more = new Set(speechllm.state.more.split(" ").filter(Boolean));
    if (!more.delete(system.key)) more.add(system.key);
    speechllm.change({ more: [...more].join(" ") });
  };

  const choice = (text, pressed, title, onclick) =>
    el("button", { type: "button", class: "choice", "aria-pressed": String(pressed), title, onclick }, text);

  const figureText = (figure) =>
    figure.percent === undefined ? figure.value.toFixed(3) : speechllm.percent(figure.percent, 2);

  const minor = (figure) =>
    el(
      "span",
      { class: "minor", title: figure.title + (figure.counts ? `: ${figure.counts}` : "") },
      `${figure.name} `,
      el("b", {}, figureText(figure)),
    );

  const card = (system, chosen) => {
    const place = chosen.indexOf(system);
    const isB = place === 1 && speechllm.hasB();
    const isScored = system.figures[0]?.percent !== undefined;
    const [main, ...rest] = isScored ? system.figures : [null, ...system.figures];
    const interval = main && main.interval ? `[${main.interval.map((x) => x.toFixed(1)).join(", ")}]` : "";
    return el(
      "li",
      { class: place >= 0 ? "shown" : null },
      el("span", { class: "number" }, String(system.number + 1)),
      el(
        "span",
        { class: "choices" },
        choice("A", place === 0, "Make this system A", () => speechllm.setA(system)),
        choice("B", isB, "Compare A with this system", () => speechllm.setB(system)),
        choice("+", place >= 0 && place !== 0 && !isB, "Show this system too", () => toggleMore(system)),
      ),
      el("span", { class: "label", title: system.key }, el("bdi", {}, system.label)),
      main
        ? el(
            "span",
            { class: "wer", title: `${main.name}, ${main.title}, with its 95 % interval: ${main.counts}` },
            el("b", {}, main.percent.toFixed(2)), " ", el("small", {}, interval),
          )
        : el("span", { class: "wer soft" }, "not scored"),
      el("span", { class: "minors" }, ...rest.map(minor)),
    );
  };

  speechllm.panels ??= {};
  speechllm.panels.systems = {
    label: "Systems",
    draw: () => {
      const chosen = speechllm.chosen();
      const mains = speechllm.systems.map((s) => s.figures[0]).filter((f) => f?.percent !== undefined);
      const name = mains.length ? mains[0].name : "The error rate";
      return [
        el("p", { class: "soft" }, `${name} with its 95 % interval, on the whole set; lower is better.`),
        el("ol", { class: "systems" }, ...speechllm.systems.map((system) => card(system, chosen))),
      ];
    },
  };
})();
