"use strict";
// The keyboard. In a text field only Escape counts, which leaves it.
(() => {
  const help = () => speechllm.byId("help");
  const toggleCompare = (kind) =>
    speechllm.change({ cmp: speechllm.state.cmp === kind ? speechllm.defaults.cmp : kind });

  const exchange = () => {
    const [a, b] = speechllm.chosen();
    if (speechllm.hasB()) speechllm.change({ a: b.key, b: a.key });
  };

  const KEYS = {
    j: () => speechllm.list.select(speechllm.list.place + 1),
    k: () => speechllm.list.select(speechllm.list.place - 1),
    ArrowDown: () => speechllm.list.select(speechllm.list.place + 1),
    ArrowUp: () => speechllm.list.select(speechllm.list.place - 1),
    g: () => speechllm.list.select(0),
    G: () => speechllm.list.select(speechllm.list.rows.length - 1),
    " ": () => speechllm.list.current !== null && speechllm.toggle(speechllm.list.current),
    Enter: () => speechllm.list.current !== null && speechllm.toggleOpen(speechllm.list.current),
    "/": () => {
      speechllm.byId("filters").elements.q.focus();
      speechllm.byId("filters").elements.q.select();
    },
    s: exchange,
    f: () => toggleCompare("fixed"),
    b: () => toggleCompare("broken"),
    c: () => speechllm.controls.copyLink(),
    x: () => speechllm.clearFilters(),
    t: () => speechllm.byId("theme").click(),
    "?": () => help().showModal(),
  };

  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help().open) return;
    const { target } = event;
    if (target.matches("input:not([type=radio]), textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const digit = /^Digit([1-9])$/.exec(event.code);
    const system = digit && speechllm.systems[Number(digit[1]) - 1];
    if (system) {
      (event.shiftKey ? speechllm.setB : speechllm.setA)(system);
      event.preventDefault();
      return;
    }
    // Menus and buttons have uses of their own for these.
    const own = target.matches("select, button, a, input, summary, [role=tab]");
    if (own && [" ", "Enter", "ArrowDown", "ArrowUp"].includes(event.key)) return;
    if (target.matches("select")) return;
    const action = KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };

  speechllm.startKeys = () => {
    document.addEventListener("keydown", press);
    speechllm.byId("show-help").addEventListener("click", () => help().showModal());
  };
})();
