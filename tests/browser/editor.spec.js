import { expect, look, test } from "./journey.js";

const batch = (step) => `metric_batch: orders
ingest_fn: prometheus
${step}: 60s
ingest_delay: 0s
ingest_history: 3d
ingest_params:
  url: ${process.env.ANOMD_SOURCE}
  queries: [load]
`;

test("a batch is written with an error, mended, tried and saved", async ({ page }) => {
  await page.goto("/t/default/new");
  const text = page.getByLabel("The batch, in YAML");
  const problems = page.locator("#problems");
  await text.fill(batch("stpe"));
  await expect(problems).toContainText("stpe");
  await look(page, "editor-problem");

  await problems.getByRole("link", { name: "Line 3" }).first().click();
  expect(await text.evaluate((area) => area.value.slice(area.selectionStart, area.selectionEnd))).toBe("stpe: 60s");
  await page.keyboard.type("step: 60s");
  await expect(problems).toContainText("No problems were found");

  await page.getByRole("button", { name: "Try it" }).click();
  await expect(page.getByRole("heading", { name: "What it would do" })).toBeVisible();
  await expect(page.getByRole("row", { name: /anomaly/ }).first()).toBeVisible();
  await expect(page.getByRole("img", { name: /^load/ }).first()).toBeVisible();
  await look(page, "editor-trial");

  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Edit orders" })).toBeVisible();
  await expect(page.getByText("Saved. It runs with its next tick.")).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.getByText("Paused: no run of it starts by itself.")).toBeVisible();
  await look(page, "editor-saved");
});
