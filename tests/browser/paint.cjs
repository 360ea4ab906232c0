// What a person waits for the page of a large batch: milliseconds until the first useful paint, which is
// the list of its oddest series with a chart of each. `tests/paint` starts the node.

const { chromium } = require("playwright");

const [url] = process.argv.slice(2);
const opens = 9;
const most = 1000;

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

async function open(browser, path) {
  // A context of its own has nothing in its cache.
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await page.goto(url + path);
  const painted = await page.evaluate(() => {
    const of = (name) => performance.getEntriesByName(name)[0]?.startTime;
    return { first: of("first-contentful-paint"), charts: document.querySelectorAll(".multiple svg").length };
  });
  await context.close();
  return painted;
}

(async () => {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  // A browser that has just begun is busy with itself; nothing of the batch is read for this page.
  await open(browser, "/t/default/plugins");
  const times = [];
  for (let opened = 0; opened < opens; opened++) {
    const { first, charts } = await open(browser, "/t/default/batches/fleet?range=14d");
    if (!charts) throw new Error("the page has no charts");
    times.push(first);
  }
  await browser.close();
  const first = times[0];
  const usual = median(times);
  console.log("| in a browser | first | median | budget |\n|---|---|---|---|");
  const over = first > most ? ": over" : "";
  console.log(`| batch page: first useful paint | ${first.toFixed(0)} ms | ${usual.toFixed(0)} ms | ≤ ${most} ms${over} |`);
})();
