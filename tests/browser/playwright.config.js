import { defineConfig } from "@playwright/test";

const artefacts = process.env.ANOMD_ARTEFACTS ?? "../../target/browser";

export default defineConfig({
  testDir: ".",
  testMatch: "*.spec.js",
  outputDir: `${artefacts}/failed`,
  reporter: "line",
  workers: 1,
  retries: 0,
  timeout: 120_000,
  expect: { timeout: 30_000 },
  use: {
    baseURL: process.env.ANOMD_URL,
    locale: "en-GB",
    timezoneId: "UTC",
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.ANOMD_CHROMIUM ?? "/usr/bin/chromium",
      // A browser of tests: nothing of its own over the network, and root needs no sandbox.
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
