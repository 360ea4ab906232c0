// The jobs page: what ran comes in as it happens, and a bar of the picture leads to its run.

import { tenant } from "./frame.js";
import { listen, refresh, soon } from "./live.js";

const again = soon(refresh, 1000);
const batch = new URLSearchParams(location.search).get("batch");
listen(batch ? { batch } : {}, { run: again, behind: again });

document.addEventListener("click", (event) => {
  const run = event.target.closest?.("rect[data-run]")?.dataset.run;
  if (run) location.href = `/t/${encodeURIComponent(tenant)}/runs/${encodeURIComponent(run)}`;
});
