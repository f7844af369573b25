import { defineConfig, type Plugin } from "vite";

/** As the page's own script and style are asked for, so is the API: all over the same connections. */
const sameConnections: Plugin = {
  name: "same-connections",
  enforce: "post",
  transformIndexHtml: (html) => html.replaceAll(" crossorigin", ""),
};

// The names are fixed: the server embeds these files, and their ETags say what has changed.
export default defineConfig({
  base: "/",
  publicDir: false,
  plugins: [sameConnections],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    reportCompressedSize: false,
    rollupOptions: {
      output: {
        entryFileNames: "page.js",
        chunkFileNames: "[name].js",
        assetFileNames: "page[extname]",
      },
    },
  },
  server: {
    // `npx vite` beside a log-ingest of one's own.
    proxy: { "/api": process.env["OTTO_INGEST"] ?? "http://127.0.0.1:8080" },
  },
});
