"use strict";
// The tables beside the list: tabs, of which the open one is drawn when the browser has time.
(() => {
  const el = speechllm.el;
  const ORDER = ["systems", "confusions", "entities", "length", "speakers"];
  let ticket = 0;

  const available = () =>
    ORDER.filter((name) => speechllm.panels[name].isThere?.() ?? true);

  const open = () => (available().includes(speechllm.state.tab) ? speechllm.state.tab : "systems");

  const drawTabs = () => {
    const focused = speechllm.byId("tabs").contains(document.activeElement);
    const tabs = available().map((name) =>
      el(
        "button",
        {
          type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel",
          "aria-selected": String(name === open()), tabindex: name === open() ? 0 : -1,
          onclick: () => speechllm.change({ tab: name }),
        },
        speechllm.panels[name].label,
      ),
    );
    speechllm.byId("tabs").replaceChildren(...tabs);
    speechllm.byId("panel").setAttribute("aria-labelledby", `tab-${open()}`);
    if (focused) speechllm.byId(`tab-${open()}`).focus();
  };

  const turn = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.stopPropagation();
    const names = available();
    const at = (names.indexOf(open()) + step + names.length) % names.length;
    speechllm.change({ tab: names[at] });
  };

  const head = ([text, kind, title]) => el("th", { scope: "col", class: kind, title }, text);

  // The table of one panel. Heads are texts; rows are {cells, pick, on}: a click calls pick.
  speechllm.panelTable = (heads, rows) =>
    el(
      "table",
      { class: "counts" },
      el("thead", {}, el("tr", {}, ...heads.map(head))),
      el(
        "tbody",
        {},
        ...rows.map(({ cells, pick, on, title }) =>
          el(
            "tr",
            { class: on ? "on" : null, title },
            ...cells.map((cell, i) => {
              const content = i === 0 && pick
                ? el("button", { type: "button", "aria-pressed": String(Boolean(on)), onclick: pick }, cell)
                : cell;
              return el("td", { class: heads[i][1] }, content);
            }),
          ),
        ),
      ),
    );

  // A function that makes a bar of up to 100 % of its cell.
  speechllm.bar = (share, kind) => {
    const bar = el("i", { class: `bar ${kind}` });
    bar.style.width = `${Math.max(0, Math.min(100, 100 * share)).toFixed(1)}%`;
    return bar;
  };

  speechllm.showPanel = () => {
    drawTabs();
    const mine = ++ticket;
    const name = open();
    const draw = () => {
      if (mine === ticket) speechllm.byId("panel").replaceChildren(...speechllm.panels[name].draw());
    };
    if (name === "systems") draw();
    else setTimeout(draw, 30); // the list goes first
  };

  speechllm.startPanels = () => speechllm.byId("tabs").addEventListener("keydown", turn);
})();
