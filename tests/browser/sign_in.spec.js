import { expect, look, test } from "./journey.js";

test("a person signs in, makes a token, revokes it and signs out", async ({ page }) => {
  await page.goto("/t/shop/settings");
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await page.getByLabel("Token").fill("anomd_0011223344556677_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("This token is not known here");
  await look(page, "sign-in");

  await page.getByLabel("Token").fill(process.env.ANOMD_TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Settings of shop" })).toBeVisible();
  const tokens = page.getByRole("region", { name: "Tokens" });
  await tokens.getByLabel("Name").fill("grafana");
  await tokens.getByLabel("Scope").selectOption("read");
  await tokens.getByRole("button", { name: "Make a token" }).click();
  await expect(page.locator("#token")).toContainText("anomd_");
  const token = await page.locator("#token").textContent();
  await look(page, "settings");

  await page.goto("/t/shop/settings");
  await expect(page.locator("main")).not.toContainText(token);
  await tokens.getByRole("button", { name: "Revoke grafana" }).click();
  await expect(tokens).not.toContainText("grafana");

  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await page.goto("/t/shop");
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();

  // The operator of the node sees every tenant.
  await page.getByLabel("Token").fill(process.env.ANOMD_OPERATOR);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
  await page.getByRole("banner").getByRole("link", { name: "shop" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Tenants of this node");
  await expect(page.getByRole("row", { name: /rival/ })).toBeVisible();
  await look(page, "tenants");
});
