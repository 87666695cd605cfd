"use strict";
// The one way in which elements are made. Text becomes text nodes, never markup.
const speechllm = {};

speechllm.el = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

speechllm.byId = (id) => document.getElementById(id);

speechllm.count = (n) => n.toLocaleString("en");

speechllm.percent = (value, digits = 1) =>
  value === null || Number.isNaN(value) ? "–" : value === Infinity ? "∞"
    : value.toFixed(digits).replace(/^-(0(\.0*)?)$/, "$1"); // nothing is below zero by nothing

speechllm.say = (text) => {
  speechllm.byId("announce").textContent = text;
};
