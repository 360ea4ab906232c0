import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { expect, look, test } from "./journey.js";

/** Serves a component at every address. */
async function serve(name) {
  const component = readFileSync(new URL(`../../plugins/dist/${name}.wasm`, import.meta.url));
  const server = createServer((_, reply) => reply.writeHead(200, { "content-type": "application/wasm" }).end(component));
  await new Promise((listens) => server.listen(0, "127.0.0.1", listens));
  return { url: `http://127.0.0.1:${server.address().port}/theirs.wasm`, server };
}

test("a plugin is installed, and reaches what it wants once that is approved", async ({ page }) => {
  const [first, second] = [await serve("discord"), await serve("pagerduty")];
  await page.goto("/t/default/plugins");
  await expect(page.getByRole("row", { name: /^robust/ })).toContainText("detector");
  await look(page, "plugins");

  await page.getByLabel("Address of the component").fill(first.url);
  await page.getByRole("button", { name: "Install" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "theirs" })).toBeVisible();
  await expect(page.getByText("wants an approval")).toBeVisible();
  const wanted = page.getByRole("row", { name: /https:\/\/discord\.com/ });
  await expect(wanted).toContainText("nobody approved of it yet");
  await look(page, "plugin-ungranted");

  await page.getByLabel("https://discord.com").check();
  await page.getByRole("button", { name: "Approve the marked origins" }).click();
  await expect(wanted).toContainText("approved");
  await expect(wanted).toContainText("yes");
  await expect(page.getByText("wants an approval")).toBeHidden();
  await look(page, "plugin-granted");

  await page.getByLabel("Address of the new component").fill(second.url);
  await page.getByRole("button", { name: "Show what it changes" }).click();
  await expect(page.getByText("Nothing has changed yet.")).toBeVisible();
  await expect(page.getByRole("row", { name: /events\.pagerduty\.com/ })).toBeVisible();
  await look(page, "plugin-upgrade");
  await page.getByRole("button", { name: "Accept and replace it" }).click();
  await expect(page.getByRole("row", { name: /^2 / })).toContainText("now");
  await expect(page.getByRole("row", { name: /https:\/\/events\.pagerduty\.com/ })).toContainText("nobody approved");

  await page.getByRole("button", { name: "Remove theirs" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Plugins" })).toBeVisible();
  await expect(page.getByRole("link", { name: "theirs", exact: true })).toHaveCount(0);
  first.server.close();
  second.server.close();
});
