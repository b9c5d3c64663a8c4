import vue from "@vitejs/plugin-vue";
import { defineConfig, loadEnv, type Plugin } from "vite";

/** Everything the pages ask the server for; `npm run dev` hands these on to a running server. */
const API = ["/system", "/statistics", "/changes", "/tools", "/patients", "/studies", "/series", "/instances", "/forwarding"];

/** Under Vite's own server there is nobody to write the depth of the address into `<base>`. */
const absoluteBase: Plugin = {
  name: "absolute-base",
  apply: "serve",
  transformIndexHtml: (html) => html.replace('<base href="./" />', '<base href="/ui/app/" />'),
};

export default defineConfig(({ command, mode }) => {
  const server = loadEnv(mode, ".", "HOUNSFIELD_").HOUNSFIELD_URL ?? "http://localhost:8042";
  return {
    base: command === "serve" ? "/ui/app/" : "./",
    plugins: [vue({ features: { optionsAPI: false } }), absoluteBase],
    define: { __VUE_OPTIONS_API__: "false", __VUE_PROD_DEVTOOLS__: "false" },
    server: { proxy: Object.fromEntries(API.map((path) => [path, { target: server, changeOrigin: true }])) },
    build: {
      outDir: "../src/hounsfield/web/static",
      emptyOutDir: true,
      target: "es2022",
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
    test: { include: ["tests/**/*.test.ts"] },
  };
});
