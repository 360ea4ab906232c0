// What every journey has: a page that may neither complain nor ask another host, and `look`,
// which keeps pictures of a page, and fails where axe finds a serious fault or where a phone
// would scroll sideways.

import { AxeBuilder } from "@axe-core/playwright";
import { test as base, expect } from "@playwright/test";

const artefacts = process.env.ANOMD_ARTEFACTS ?? "../../target/browser";
const sizes = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

export { expect };

export const test = base.extend({
  page: async ({ page, baseURL }, use) => {
    const faults = [];
    page.on("console", (message) => {
      // A journey that is refused on purpose reads the refusal on the page.
      const refused = message.text().startsWith("Failed to load resource: the server responded with a status of 4");
      if (["error", "warning"].includes(message.type()) && !refused) faults.push(message.text());
    });
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (!["data:", "blob:"].includes(url.protocol) && url.origin !== new URL(baseURL).origin) {
        faults.push(`a request to ${url.origin}`);
      }
    });
    await use(page);
    expect(faults, "what the browser complained of, or asked of other hosts").toEqual([]);
  },
});

/** Looks at the page as it stands: at desktop and phone width, light and dark. */
export async function look(page, name) {
  const before = page.viewportSize();
  for (const [size, viewport] of Object.entries(sizes)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${artefacts}/${name}-${size}-${colorScheme}.png`, fullPage: true });
      const found = await new AxeBuilder({ page }).analyze();
      const serious = found.violations.filter((violation) => ["serious", "critical"].includes(violation.impact));
      const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} (${node.failureSummary})`).join("; ")}`);
      expect(told, `what axe finds on ${name}, ${size}, ${colorScheme}`).toEqual([]);
    }
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(wider, `how far ${name} scrolls sideways at ${size} width`).toBeLessThanOrEqual(0);
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
}
