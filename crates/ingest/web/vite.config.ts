import { defineConfig, type Plugin } from "vite";

/** As the page's own script and style are asked for, so is the API: all over the same connections. */
const sameConnections: Plugin = {
  name: "same-connections",
  enforce: "post",
  transformIndexHtml: (html) => html.replaceAll(" crossorigin", ""),
};

/** What is asked before there is a page is a script of its own, which runs as soon as it is here. */
const FIRST = "first";
const asksFirst: Plugin = {
  name: "asks-first",
  apply: "build",
  enforce: "post",
  transformIndexHtml: (html) => {
    const preload = `\n    <link rel="modulepreload" href="/${FIRST}.js">`;
    const page = '<script type="module" src="/page.js">';
    if (!html.includes(preload) || !html.includes(page)) throw new Error(`the page is built otherwise now: ${html}`);
    return html
      .replace(preload, "")
      .replace(page, `<script type="module" async src="/${FIRST}.js"></script>\n    ${page}`);
  },
};

// The names are fixed: the server embeds these files, and their ETags say what has changed.
export default defineConfig({
  base: "/",
  publicDir: false,
  plugins: [sameConnections, asksFirst],
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
        manualChunks: (id) => (/\/src\/(first|early)\.ts$/.test(id) ? FIRST : undefined),
        assetFileNames: "page[extname]",
      },
    },
  },
  server: {
    // `npx vite` beside a log-ingest of one's own.
    proxy: { "/api": process.env["OTTO_INGEST"] ?? "http://127.0.0.1:8080" },
  },
});
