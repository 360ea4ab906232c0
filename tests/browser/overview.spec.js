import { expect, look, test } from "./journey.js";

test("a node without a batch says what to do next", async ({ page }) => {
  await page.goto("/");
  await expect(page.getByRole("heading", { name: "No batch yet" })).toBeVisible();
  await expect(page.getByRole("link", { name: "write one here" })).toBeVisible();
  await look(page, "overview-empty");
});
