"use strict";
// One audio element for the page. What it plays, and how far it is, is shown in the row.
(() => {
  const audio = () => speechllm.byId("audio");
  let playing = null; // {row, start, end}
  let failed = new Map(); // row -> why

  const show = () => {
    for (const button of document.querySelectorAll("button.play")) {
      const row = Number(button.dataset.row);
      const on = playing !== null && playing.row === row && !audio().paused;
      button.setAttribute("aria-pressed", String(on));
      button.classList.toggle("on", on);
    }
    for (const bar of document.querySelectorAll(".progress")) {
      const own = playing !== null && Number(bar.dataset.row) === playing.row;
      bar.hidden = !own;
      if (!own) continue;
      const end = playing.end ?? audio().duration;
      const share = (audio().currentTime - playing.start) / (end - playing.start);
      bar.firstChild.style.width = `${100 * Math.min(1, Math.max(0, share || 0))}%`;
    }
  };

  const follow = () => {
    if (playing === null) return;
    const beyond = playing.end !== null && audio().currentTime >= playing.end;
    if (beyond) audio().pause();
    show();
    if (!audio().paused) requestAnimationFrame(follow);
  };

  const fail = (row) => {
    const error = audio().error;
    const why = error && error.code === 4 ? "not found, or of a format that this browser lacks" : "cannot be decoded";
    failed.set(row, `The audio does not play: ${why}`);
    playing = null;
    speechllm.say(failed.get(row));
    speechllm.list.refresh(row);
  };

  // Plays the row from `seconds` after its beginning.
  speechllm.play = async (row, seconds = 0) => {
    const source = speechllm.audioOf(row);
    if (source.gone !== undefined) {
      speechllm.say(`no audio: ${source.gone}`);
      return;
    }
    failed.delete(row);
    playing = { row, start: source.start, end: source.end };
    const element = audio();
    element.pause();
    const url = new URL(source.url, location.href).href;
    if (element.src !== url || element.error) element.src = url;
    element.onerror = () => fail(row);
    if (element.readyState === 0)
      await new Promise((resolve) => {
        element.addEventListener("loadedmetadata", resolve, { once: true });
        element.addEventListener("error", resolve, { once: true });
        element.load();
      });
    if (element.error || playing === null || playing.row !== row) return;
    element.currentTime = source.start + seconds;
    await element.play().catch(() => {}); // another row was chosen meanwhile
    follow();
  };

  speechllm.toggle = (row) => {
    if (playing !== null && playing.row === row && !audio().paused) {
      audio().pause();
      show();
    } else speechllm.play(row);
  };

  speechllm.whyNot = (row) => failed.get(row);
  speechllm.showPlaying = show;
  speechllm.startPlayer = () => {
    for (const event of ["pause", "ended", "play"]) audio().addEventListener(event, show);
  };
})();
