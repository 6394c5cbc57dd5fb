import { defineConfig } from "vitest/config";

// The binary embeds what is built here. public/robots.txt is in the output too, so that its directory is never empty.
// Its addresses are relative, so that a reverse proxy may offer it below any path.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../internal/web/dist",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false }, // it would be an inline script, which the page's policy forbids
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  test: { css: true }, // a test reads the colours
  server: {
    proxy: { "/api": "http://127.0.0.1:8080", "/healthz": "http://127.0.0.1:8080" },
  },
});
