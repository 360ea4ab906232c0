// The page of a run: its lines come in as it says them, and its state when it changes.

import { listen, refresh, soon } from "./live.js";

const run = document.getElementById("run").dataset.run;
const lines = document.getElementById("lines");
let count = Number(lines.dataset.lines);

const again = soon(async () => {
  // The button that was pressed last has no reason to hold the page back.
  if (document.activeElement?.closest("#run")) document.activeElement.blur();
  await refresh();
}, 200);

listen({ run }, {
  log(said) {
    if (said.run !== run || said.number < count) return;
    count = said.number + 1;
    const atEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 8;
    lines.append(`${said.line}\n`);
    document.getElementById("no-lines").hidden = true;
    if (atEnd) lines.scrollTop = lines.scrollHeight;
  },
  run(news) {
    const shown = document.getElementById("run").dataset.state;
    if (news.run === run && news.state === "running" && shown !== "queued" && shown !== "running") {
      // It is done once more: its lines begin anew.
      lines.textContent = "";
      count = 0;
    }
    if (news.run !== run || news.state !== shown) again();
  },
  behind: () => location.reload(),
});
