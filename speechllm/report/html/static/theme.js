"use strict";
// Light, dark, or as the system has it. Runs before the first paint, so that nothing flashes.
(() => {
  const THEMES = ["auto", "light", "dark"];
  const KEY = "speechllm-theme";
  const read = () => {
    try { return localStorage.getItem(KEY) || "auto"; } catch { return "auto"; }
  };
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) {
      button.textContent = `Theme: ${theme}`;
      button.setAttribute("aria-label", `Theme: ${theme}. Change it`);
    }
  };
  const next = () => {
    const now = document.documentElement.dataset.theme;
    const theme = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
    try { localStorage.setItem(KEY, theme); } catch { /* private windows forget it */ }
    apply(theme);
  };
  apply(THEMES.includes(read()) ? read() : "auto");
  document.addEventListener("DOMContentLoaded", () => {
    apply(document.documentElement.dataset.theme);
    document.getElementById("theme").addEventListener("click", next);
  });
})();
