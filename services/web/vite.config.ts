import { defineAppConfig } from "@f1/frontend-kit/vite"
import { VitePWA } from "vite-plugin-pwa"
import { flags } from "./src/flags.ts"

export default defineAppConfig({
  port: 8080,
  apiUpstream: "http://localhost:8000",
  release: { app: "web", backend: "api", flags },
  testSetup: ["src/testing/setup.ts"],
  coverageExclude: ["src/testing/**"],
  plugins: [
    VitePWA({
      registerType: "prompt",
      // The app registers it itself, to say when a new version is there.
      injectRegister: false,
      manifest: {
        name: "Al Dente",
        short_name: "Al Dente",
        description: "Pasta recipes worth cooking again",
        theme_color: "#fdf9f0",
        background_color: "#fdf9f0",
        display: "standalone",
        icons: [
          { src: "/icon-192.png", sizes: "192x192", type: "image/png" },
          { src: "/icon-512.png", sizes: "512x512", type: "image/png" },
          { src: "/icon-512.png", sizes: "512x512", type: "image/png", purpose: "maskable" },
        ],
      },
      workbox: {
        inlineWorkboxRuntime: true,
        sourcemap: false,
        cleanupOutdatedCaches: true,
        globPatterns: ["**/*.{html,js,css,svg,woff2}"],
        // Latin alone is precached: other alphabets come when a page needs them.
        globIgnores: ["**/*-{latin-ext,cyrillic,cyrillic-ext,vietnamese,greek}-*"],
        navigateFallbackDenylist: [/^\/(api|health|metrics|version)\b/, /\.[^/]*$/],
        // The environment's configuration is asked for first; without a network the last one is used. Recipes are kept by the
        // app's query cache, so the API is not cached here as well.
        runtimeCaching: [
          {
            urlPattern: /\/config\.json$/,
            handler: "NetworkFirst",
            options: { cacheName: "configuration", networkTimeoutSeconds: 3 },
          },
        ],
      },
    }),
  ],
})
