import { expect, look, test } from "./journey.js";

test("a batch is run now, its log comes in live, and a run that hangs is cut short", async ({ page }) => {
  const state = page.locator("#run").getByRole("status");
  await page.goto("/t/default/jobs?batch=stuck");
  await page.getByRole("link", { name: "running" }).first().click();
  await expect(state).toHaveText("running");
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(state).toHaveText("cancelled");
  await expect(page.getByText("by a person on the dashboard")).toBeVisible();

  await page.goto("/t/default/jobs");
  await expect(page.getByRole("heading", { name: "Schedules" })).toBeVisible();
  // What nothing starts does not stand among what runs.
  const orders = page.getByRole("region", { name: "Jobs of orders", exact: true });
  await expect(orders.getByRole("rowheader", { name: "ingest" })).toBeVisible();
  await expect(orders.getByRole("rowheader", { name: "llmalert" })).toHaveCount(0);
  await look(page, "jobs");
  const off = page.locator("details.off").first();
  await off.locator("summary").click();
  await expect(off.getByRole("rowheader", { name: "llmalert" })).toBeVisible();

  await page.getByRole("button", { name: "Run now: orders" }).click();
  await expect(page).toHaveURL(/\/t\/default\/runs\/orders/);
  // From here on the page is not loaded again: what happens comes in over the stream.
  await expect(state).toHaveText(/done|skipped/);
  await page.getByRole("button", { name: "Retry" }).click();
  await expect(page.getByRole("log")).toContainText("once more: the run before was");
  await expect(state).toHaveText(/done|skipped/);
  await expect(page.getByRole("heading", { name: "Its chain" })).toBeVisible();
  await look(page, "run");
});
