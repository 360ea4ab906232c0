import { expect, look, test } from "./journey.js";

const batch = process.env.BATCH;

test("from the overview to the batch, the series and its alert", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("link", { name: batch, exact: true }).first().click();
  await expect(page.getByRole("heading", { level: 1, name: batch })).toBeVisible();
  const oddest = page.getByRole("article").first();
  await expect(oddest.getByText("1 alert")).toBeVisible();
  await expect(oddest.locator("canvas")).toBeVisible();
  await look(page, "batch");

  await oddest.getByRole("link").click();
  await expect(page.locator("#sentence")).toContainText("One alert.");
  await expect(page.locator("#charts canvas").first()).toBeVisible();
  await expect(page.getByRole("heading", { name: "Models" })).toBeVisible();
  await expect(page.getByText("judges").first()).toBeVisible();
  await look(page, "series");

  await page.getByRole("region", { name: "Alerts of the series" }).getByRole("link").first().click();
  await expect(page).toHaveURL(/\/alerts\/[0-9a-f]+/);
});

test("a search shows what it finds, and says where it finds nothing", async ({ page }) => {
  await page.goto(`/t/default/batches/${batch}`);
  await expect(page.getByRole("article")).not.toHaveCount(0);
  await page.keyboard.press("/");
  await page.keyboard.type("nowhere");
  await expect(page.getByRole("heading", { name: "No series found" })).toBeVisible();
  await expect(page).toHaveURL(/q=nowhere/);
  await look(page, "batch-nothing-found");
  await page.getByLabel("Search").fill("load");
  await expect(page.getByRole("article")).not.toHaveCount(0);
});

test("the threshold slider says at once what would have fired", async ({ page }) => {
  await page.goto(`/t/default/batches/${batch}`);
  await page.getByRole("article").first().getByRole("link").click();
  const told = page.locator("#what-if");
  await expect(told).toContainText("1 alert would have fired");
  const slider = page.getByLabel("What would have fired");
  await slider.fill("1");
  await expect(told).toContainText("are at 1.00 or above");
  await slider.fill("0.02");
  await expect(told).toContainText("are at 0.02 or above");
  await expect(page).toHaveURL(/threshold=0.02/);
  const lower = await told.textContent();
  await page.reload();
  await expect(told).toHaveText(lower);
});

test("keys zoom down to the samples, and the address says where", async ({ page }) => {
  await page.goto(`/t/default/batches/${batch}`);
  await page.getByRole("article").first().getByRole("link").click();
  await expect(page.locator("#charts canvas").first()).toBeVisible();
  await page.keyboard.press("+");
  await page.keyboard.press("+");
  await expect(page).toHaveURL(/from=.*&to=/);
  await expect(page.locator("#resolution")).toHaveText("the samples themselves");
  const before = page.url();
  await page.keyboard.press("ArrowLeft");
  await expect(page).not.toHaveURL(before);
  await page.reload();
  await expect(page.locator("#charts canvas").first()).toBeVisible();
});

/** What a link to this view would show: its first and last instant. */
const span = (page) => ["from", "to"].map((name) => Date.parse(new URL(page.url()).searchParams.get(name)));

test("dragging moves through time, with shift or in the mode for it", async ({ page }) => {
  await page.goto(`/t/default/batches/${batch}`);
  await page.getByRole("article").first().getByRole("link").click();
  const chart = page.locator("#charts .u-over").first();
  await expect(chart).toBeVisible();
  await page.keyboard.press("+");
  await page.keyboard.press("+");
  const hours = () => (span(page)[1] - span(page)[0]) / 3600000;
  await expect.poll(hours).toBeCloseTo(6, 1);
  await expect(page.locator("#resolution")).toHaveText("the samples themselves");
  const drag = async (by) => {
    const box = await chart.boundingBox();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x + by / 2, y);
    await page.mouse.move(x + by, y);
    await page.mouse.up();
    return by / box.width;
  };
  const first = span(page);
  await page.keyboard.down("Shift");
  const share = await drag(200);
  await page.keyboard.up("Shift");
  const length = first[1] - first[0];
  // To the right is back in time, by as much as the pointer went; the length stays.
  await expect.poll(() => Math.abs((first[0] - span(page)[0]) / length - share)).toBeLessThan(0.02);
  const second = span(page);
  expect(Math.abs(second[1] - second[0] - length)).toBeLessThan(2000);
  await expect(page.locator("#sentence")).toContainText(new Date(second[0]).toISOString().slice(0, 16).replace("T", " "));

  await page.getByRole("button", { name: "Drag moves" }).click();
  await drag(-200);
  await expect.poll(() => Math.abs((span(page)[0] - second[0]) / length - share)).toBeLessThan(0.02);
  // Without it a drag zooms again.
  await page.keyboard.press("p");
  const third = span(page);
  await drag(200);
  await expect.poll(() => Math.abs((span(page)[1] - span(page)[0]) / length - share)).toBeLessThan(0.02);
  expect(span(page)[0]).toBeGreaterThan(third[0]);

  const shown = await page.locator("#sentence").textContent();
  await page.reload();
  await expect(page.locator("#charts canvas").first()).toBeVisible();
  expect((await page.locator("#sentence").textContent()).slice(0, 40)).toBe(shown.slice(0, 40));
});

test("a slash, some letters and a key lead to a series", async ({ page }) => {
  await page.goto("/");
  await page.keyboard.press("/");
  await expect(page.getByLabel("Find a batch or a series")).toBeFocused();
  await page.keyboard.type("load");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Find" })).toBeVisible();
  await expect(page).toHaveURL(/find\?q=load/);
  await look(page, "find");
  await page.getByRole("main").getByRole("link", { name: /load.*instance="b"/ }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/load.*instance="b"/);
  await expect(page.locator("#charts canvas").first()).toBeVisible();

  await page.goto("/t/default/find?q=nowhere");
  await expect(page.getByRole("heading", { name: /Nothing matches/ })).toBeVisible();
});

test.describe("without script", () => {
  test.use({ javaScriptEnabled: false });

  test("the charts are lines with a sentence, and the forms work", async ({ page }) => {
    await page.goto(`/t/default/batches/${batch}`);
    const chart = page.getByRole("article").first().getByRole("img");
    await expect(chart).toHaveAttribute("aria-label", /points from .*: values from/);
    await page.getByRole("article").first().getByRole("link").click();
    await expect(page.getByText("would have fired;")).toBeVisible();
    await page.getByLabel("Span").selectOption("6h");
    await page.getByRole("button", { name: "Show" }).click();
    await expect(page).toHaveURL(/range=6h/);
    await page.getByRole("link", { name: "Earlier" }).click();
    await expect(page).toHaveURL(/from=.*to=/);
    await expect(page.locator("#sentence")).toContainText("points from");
  });
});
