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
    await expect(page.locator("#sentence")).toContainText("points from");
  });
});
