"use strict";
// On paper: what is filtered, the figures, and the first utterances of the list.
(() => {
  const MOST = 300;

  const before = () => {
    speechllm.list.print(MOST);
    const listed = speechllm.list.rows.length;
    if (listed > MOST)
      speechllm.byId("count").dataset.print = `; the first ${MOST} are printed`;
  };
  const after = () => {
    delete speechllm.byId("count").dataset.print;
    speechllm.list.endPrint();
  };

  speechllm.startPrint = () => {
    addEventListener("beforeprint", before);
    addEventListener("afterprint", after);
  };
})();
