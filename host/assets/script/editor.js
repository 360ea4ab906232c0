// The batch editor: line numbers that follow the text, and problems that lead to their line.

const text = document.getElementById("text");
const lines = document.getElementById("lines");

/** As many numbers as the text has lines, with the lines marked that have problems. */
function number() {
  const count = text.value.split("\n").length;
  while (lines.childElementCount > count) lines.lastElementChild.remove();
  while (lines.childElementCount < count) {
    const line = document.createElement("span");
    line.textContent = lines.childElementCount + 1;
    lines.append(line);
  }
  text.rows = count + 1;
}

function mark() {
  for (const line of lines.children) line.className = "";
  for (const link of document.querySelectorAll("#problems [data-line]")) {
    const line = lines.children[Number(link.dataset.line) - 1];
    const kind = link.closest(".bad") ? "bad" : "warn";
    if (line && line.className !== "bad") line.className = kind;
  }
}

/** Selects a line and brings it into view. */
function jump(wanted) {
  const before = text.value.split("\n").slice(0, wanted - 1);
  const start = before.reduce((sum, line) => sum + line.length + 1, 0);
  const end = text.value.indexOf("\n", start);
  text.focus({ preventScroll: true });
  text.setSelectionRange(start, end < 0 ? text.value.length : end);
  lines.children[wanted - 1]?.scrollIntoView({ block: "center" });
}

if (text && lines) {
  text.addEventListener("input", number);
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "problems") mark();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("#problems [data-line]");
    if (!link) return;
    event.preventDefault();
    jump(Number(link.dataset.line));
  });
  number();
  mark();
}
