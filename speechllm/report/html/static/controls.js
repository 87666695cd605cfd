"use strict";
// The form beside the list, and the chips above it, which say what is filtered and take it back.
(() => {
  const el = speechllm.el;
  const form = () => speechllm.byId("filters");
  const fields = () => [...form().elements].filter((field) => field.name && field.name in speechllm.defaults);
  const option = (value, text) => el("option", { value }, text);

  const fillMenus = () => {
    const { set, systems } = speechllm;
    form().elements.a.append(...systems.map((s) => option(s.key, s.label)));
    form().elements.b.append(option("none", "nothing"), ...systems.map((s) => option(s.key, s.label)));
    if (set.speakers) form().elements.spk.append(...set.speakers.names.map((name) => option(name, name)));
  };

  // Menus and ranges for what these systems have; the rest is hidden.
  const fitToSystems = (systems) => {
    const [a, b] = systems;
    const { set } = speechllm;
    const has = {
      b: speechllm.hasB() && Boolean(b),
      scored: Boolean(a.ops),
      seconds: Boolean(set.seconds),
      speakers: Boolean(set.speakers) && set.speakers.names.length > 1,
      entities: Boolean(set.entities),
      confidence: Boolean(a.confidence),
      flags: a.flags.names.length > 0 || speechllm.state.flag !== "",
    };
    for (const part of document.querySelectorAll("[data-needs]")) part.hidden = !has[part.dataset.needs];
    const flags = form().elements.flag;
    while (flags.options.length > 2) flags.remove(2);
    flags.append(...a.flags.names.map((name) => option(name, name)));
    const sort = speechllm.byId("sort");
    const orders = Object.entries(speechllm.ORDERS).filter(
      ([name, order]) => name === "id" || order.value(a, has.b ? b : undefined),
    );
    sort.replaceChildren(...orders.map(([name, order]) => option(name, order.label)));
  };

  const show = (systems) => {
    const { state } = speechllm;
    fitToSystems(systems);
    for (const field of fields()) {
      if (field.type === "radio") field.checked = field.value === state[field.name];
      else if (field !== document.activeElement || field.tagName === "SELECT") field.value = state[field.name];
    }
    form().elements.a.value = systems[0].key;
    form().elements.b.value = speechllm.hasB() ? systems[1].key : "none";
    speechllm.byId("sort").value = state.sort;
    const direction = speechllm.byId("direction");
    direction.textContent = state.desc ? "↓" : "↑";
    direction.title = state.desc ? "largest first" : "smallest first";
    showChips();
  };

  const NAMES = {
    q: "text", cmp: "A to B", err: "errors", ent: "entities", flag: "guard", audio: "audio", spk: "speaker",
    wer: "WER", len: "words", sec: "seconds", conf: "confidence",
  };

  const describe = (name) => {
    const value = speechllm.state[name];
    if (name === "c") {
      const [kind, one, other] = value.split(" ");
      return { X: `${one} → ${other}`, D: `${one} deleted`, I: `${one} inserted` }[kind] || value;
    }
    if (name === "e")
      try { return JSON.parse(value).filter(Boolean).reverse().join(", "); } catch { return value; }
    const bound = /^([a-z]+)([01])$/.exec(name);
    if (bound) return `${NAMES[bound[1]]} ${bound[2] === "0" ? "≥" : "≤"} ${value}`;
    const field = form().elements[name];
    const chosen = field.options && field.selectedOptions[0];
    return `${NAMES[name]}: ${chosen ? chosen.textContent : value}`;
  };

  const showChips = () => {
    const { state, defaults } = speechllm;
    const active = Object.keys(defaults).filter((n) => speechllm.isFilter(n) && state[n] !== defaults[n]);
    const chips = active.map((name) =>
      el(
        "button",
        {
          type: "button", class: "chip", title: "Take this filter back",
          onclick: () => speechllm.change({ [name]: defaults[name] }),
        },
        el("bdi", {}, describe(name)),
        " ×",
      ),
    );
    speechllm.byId("chips").replaceChildren(...chips);
    speechllm.byId("reset").disabled = !active.length;
  };

  const copyLink = async () => {
    const label = speechllm.byId("copy-link").firstElementChild;
    try {
      await navigator.clipboard.writeText(location.href);
      label.textContent = "Copied";
      speechllm.say("link copied");
    } catch {
      label.textContent = "Copy it from the address bar";
    }
    setTimeout(() => { label.textContent = "Copy link"; }, 2000);
  };

  const toggleOnNarrow = (button, part) => {
    speechllm.byId(button).addEventListener("click", (event) => {
      const open = speechllm.byId(part).classList.toggle("open");
      event.currentTarget.setAttribute("aria-expanded", String(open));
    });
  };

  speechllm.controls = {
    show,
    copyLink,
    start: () => {
      fillMenus();
      let [typing, patch] = [0, {}];
      const apply = () => {
        const typed = patch;
        patch = {};
        speechllm.change(typed);
      };
      form().addEventListener("submit", (event) => event.preventDefault());
      form().addEventListener("input", (event) => {
        const { name, value, type } = event.target;
        if (!(name in speechllm.defaults)) return;
        patch[name] = value;
        clearTimeout(typing);
        if (type === "search" || type === "number") typing = setTimeout(apply, 120);
        else apply();
      });
      speechllm.byId("sort").addEventListener("change", (event) =>
        speechllm.change({ sort: event.target.value, desc: event.target.value === "id" ? "" : "1" }));
      speechllm.byId("direction").addEventListener("click", () =>
        speechllm.change({ desc: speechllm.state.desc ? "" : "1" }));
      speechllm.byId("copy-link").addEventListener("click", copyLink);
      for (const id of ["reset", "reset-empty"])
        speechllm.byId(id).addEventListener("click", speechllm.clearFilters);
      toggleOnNarrow("toggle-filters", "filters");
      toggleOnNarrow("toggle-panels", "panels");
    },
  };
})();
