"use strict";
// A virtual list: only the rows in sight are in the document. Heights are guessed from the length of
// the texts and measured once a row is drawn; what stands in sight stays where it is meanwhile.
(() => {
  const BEYOND = 400; // pixels drawn above and below what is in sight
  const el = speechllm.el;
  let rows = [], systems = [], current = 0;
  let heights = new Float64Array(0); // by utterance; 0 is not measured
  let tops = new Float64Array(1); // by place in the list
  let drawn = new Map(); // place -> element
  let width = 0, pending = false, printing = false;

  const box = () => speechllm.byId("list");
  const inner = () => speechllm.byId("rows");

  const guess = (row) => {
    const text = speechllm.set.refs ? speechllm.set.refs[row] : systems[0].hyp[row] || "";
    const lines = Math.max(1, Math.ceil((text.length * 9.5) / Math.max(200, width - 190)));
    return 44 + lines * (24 * (systems.length + 1) + 6);
  };

  const stack = () => {
    tops = new Float64Array(rows.length + 1);
    for (let i = 0; i < rows.length; i++) tops[i + 1] = tops[i] + (heights[rows[i]] || guess(rows[i]));
  };

  // The last place whose top is at or above y.
  const placeAt = (y) => {
    let [low, high] = [0, rows.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  };

  const draw = (place) => {
    const article = speechllm.makeRow(rows[place], systems);
    article.setAttribute("aria-posinset", place + 1);
    article.setAttribute("aria-setsize", rows.length);
    mark(article, place);
    return article;
  };

  const mark = (article, place) => {
    article.tabIndex = place === current ? 0 : -1;
    article.classList.toggle("current", place === current);
  };

  // Measures what is drawn; returns by how much the rows above y have grown.
  const measure = (y) => {
    let [grown, changed] = [0, false];
    for (const [place, article] of drawn) {
      const height = article.getBoundingClientRect().height;
      const before = tops[place + 1] - tops[place];
      if (Math.abs(height - before) < 0.5) {
        heights[rows[place]] = before;
        continue;
      }
      if (tops[place] < y) grown += height - before;
      heights[rows[place]] = height;
      changed = true;
    }
    if (changed) stack();
    return changed ? grown : null;
  };

  const render = () => {
    pending = false;
    if (printing) return;
    if (!rows.length) {
      inner().replaceChildren();
      drawn.clear();
      return;
    }
    for (let round = 0; round < 4; round++) {
      const top = box().scrollTop;
      const first = placeAt(Math.max(0, top - BEYOND));
      const last = placeAt(top + box().clientHeight + BEYOND);
      const focused = document.activeElement;
      for (const [place, article] of drawn)
        if (place < first || place > last) {
          if (article.contains(focused)) box().focus({ preventScroll: true });
          article.remove();
          drawn.delete(place);
        }
      let before = null;
      for (let place = last; place >= first; place--) {
        if (!drawn.has(place)) {
          drawn.set(place, draw(place));
          inner().insertBefore(drawn.get(place), before);
        }
        before = drawn.get(place);
      }
      inner().style.paddingTop = `${tops[first]}px`;
      inner().style.paddingBottom = `${tops[rows.length] - tops[last + 1]}px`;
      const grown = measure(top);
      if (grown === null) break;
      inner().style.paddingTop = `${tops[first]}px`;
      inner().style.paddingBottom = `${tops[rows.length] - tops[last + 1]}px`;
      if (grown) box().scrollTop = top + grown;
    }
    speechllm.showPlaying();
  };

  const renderSoon = () => {
    if (pending) return;
    pending = true;
    requestAnimationFrame(render);
  };

  const redraw = () => {
    inner().replaceChildren();
    drawn.clear();
    render();
  };

  const bringIntoSight = (place) => {
    for (let round = 0; round < 3; round++) { // heights on the way are measured as they are met
      const [top, bottom] = [tops[place], tops[place + 1]];
      const view = box();
      if (top < view.scrollTop) view.scrollTop = top;
      else if (bottom > view.scrollTop + view.clientHeight)
        view.scrollTop = Math.min(top, bottom - view.clientHeight);
      else return;
      render();
    }
  };

  const select = (place, focus = true) => {
    if (!rows.length) return;
    current = Math.max(0, Math.min(rows.length - 1, place));
    bringIntoSight(current);
    render();
    for (const [at, article] of drawn) mark(article, at);
    if (focus) drawn.get(current)?.focus({ preventScroll: true });
    speechllm.change({ u: speechllm.set.ids[rows[current]] });
  };

  speechllm.list = {
    get rows() { return rows; },
    get current() { return rows.length ? rows[current] : null; },
    get place() { return current; },
    select,
    render,
    refresh: (row) => {
      const place = rows.indexOf(row);
      const old = drawn.get(place);
      if (!old) return;
      const focused = old.contains(document.activeElement);
      const fresh = draw(place);
      drawn.set(place, fresh);
      old.replaceWith(fresh);
      render();
      if (focused) fresh.focus({ preventScroll: true });
    },
    // Shows these rows for these systems; `id` is the utterance to start from.
    show: (newRows, newSystems, id) => {
      const same = systems.length === newSystems.length;
      [rows, systems] = [newRows, newSystems];
      if (!same || heights.length !== speechllm.set.size) heights = new Float64Array(speechllm.set.size);
      width = inner().clientWidth;
      const at = rows.indexOf(speechllm.set.rowOf.get(id));
      current = Math.max(0, at);
      stack();
      box().setAttribute("aria-busy", "false");
      inner().replaceChildren();
      drawn.clear();
      box().scrollTop = at > 0 ? tops[at] : 0;
      render();
      if (at > 0) bringIntoSight(current);
    },
    // For the printer: the first rows, all in the document.
    print: (most) => {
      printing = true;
      drawn.clear();
      inner().style.padding = "0";
      inner().replaceChildren(...rows.slice(0, most).map((_, place) => draw(place)));
    },
    endPrint: () => {
      printing = false;
      redraw();
    },
    start: () => {
      box().addEventListener("scroll", renderSoon, { passive: true });
      box().addEventListener("click", (event) => {
        const article = event.target.closest("article.utt");
        if (!article || printing) return;
        const place = rows.indexOf(Number(article.dataset.row));
        if (place !== current) select(place, !event.target.closest("button"));
      });
      new ResizeObserver(() => {
        if (inner().clientWidth === width || printing || !systems.length) return renderSoon();
        width = inner().clientWidth;
        heights = new Float64Array(speechllm.set.size);
        const top = placeAt(box().scrollTop);
        stack();
        box().scrollTop = tops[top];
        redraw();
      }).observe(box());
    },
  };
})();
