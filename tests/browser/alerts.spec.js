import { expect, look, test } from "./journey.js";

test("a silence is made from an alert and seen to act, and what people did is kept", async ({ page }) => {
  await page.goto("/");
  const now = page.locator("#now");
  await expect(now.getByText("firing", { exact: true })).toBeVisible();
  await expect(page.getByRole("img", { name: /over the threshold/ }).first()).toBeVisible();
  await look(page, "overview");

  // A time is brushed, and the series of that time are ranked.
  const strip = page.locator("svg.strip").first();
  const box = await strip.boundingBox();
  await page.mouse.move(box.x + box.width * 0.9, box.y + 10);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 2, box.y + 10);
  await page.mouse.up();
  await expect(page).toHaveURL(/from=.*to=/);
  await expect(page.locator("#ranking").getByRole("link").first()).toHaveText(/load/);

  await now.getByRole("link", { name: /load/ }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/load/);
  await expect(page.getByRole("img", { name: /around the alert/ })).toBeVisible();
  await expect(page.locator("#timeline")).toContainText("the score reached the threshold");
  await look(page, "alert");

  await page.getByLabel("Your name").fill("ana");
  await page.getByLabel("Comment").fill("looking");
  await page.getByRole("button", { name: "Acknowledge" }).click();
  await expect(page.locator("#head")).toContainText("acknowledged");
  await expect(page.locator("#timeline")).toContainText("ana acknowledged it: looking");

  // The list is narrowed to what somebody looks after, and to what nobody has seen to.
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Alerts" }).click();
  const states = page.getByRole("navigation", { name: "State" });
  await states.getByRole("link", { name: "Acknowledged" }).click();
  await expect(page).toHaveURL(/state=acknowledged/);
  await expect(page.locator("#list")).toContainText("by ana: looking");
  await states.getByRole("link", { name: "Firing" }).click();
  await expect(page.getByRole("heading", { name: "No alert is firing" })).toBeVisible();
  await look(page, "alerts-none");
  await states.getByRole("link", { name: "Acknowledged" }).click();
  await page.locator("#list").getByRole("link", { name: /load/ }).click();

  await page.getByRole("button", { name: /It was real/ }).click();
  await expect(page.getByRole("button", { name: /It was real/ })).toHaveAttribute("aria-pressed", "true");
  await expect(page.locator("#facts")).toContainText("left out of training");
  await expect(page.locator("#timeline")).toContainText("ana rated it up");

  await page.getByRole("button", { name: "Take the acknowledgement back" }).click();
  await page.getByRole("link", { name: "Silence this" }).click();
  await expect(page.locator("#preview")).toContainText("Would hide now");
  await expect(page.locator("#preview").getByRole("link", { name: /load/ })).toBeVisible();
  const matchers = await page.getByLabel("Alerts with these labels").inputValue();

  // The preview follows what is typed; what makes no sense is refused with a reason.
  await page.getByLabel("Alerts with these labels").fill('batch="elsewhere"');
  await expect(page.locator("#preview")).toContainText("No alert that is on matches now");
  await page.getByLabel("Alerts with these labels").fill("{}");
  await page.getByRole("button", { name: "Silence" }).click();
  await expect(page.getByRole("alert")).toContainText("matches every alert");
  await page.getByLabel("Alerts with these labels").fill(matchers);
  await page.getByLabel("Why").fill("new rack");
  await page.getByRole("button", { name: "Silence" }).click();
  await expect(page.locator("#list")).toContainText("active");
  await expect(page.locator("#list")).toContainText("new rack");
  await look(page, "silences");

  await page.getByRole("link", { name: "Alerts", exact: true }).click();
  await expect(page.locator("#list").getByText("silenced", { exact: true })).toBeVisible();
  await look(page, "alerts");
  await states.getByRole("link", { name: "Silenced" }).click();
  await expect(page.locator("#list").getByText("silenced", { exact: true })).toBeVisible();

  await page.getByRole("link", { name: "Silences", exact: true }).click();
  await page.getByRole("button", { name: /End now/ }).click();
  await expect(page.locator("#list")).toContainText("There is none");
  await page.getByRole("link", { name: "Alerts", exact: true }).click();
  await expect(page.locator("#list").getByText("firing", { exact: true })).toBeVisible();
});
