import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  // Relative addresses hold behind a proxy that adds a path.
  base: "./",
  plugins: [react()],
  build: {
    outDir: "../api/dashboard",
    emptyOutDir: true,
    // Inlined files would need a wider content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    target: "es2023",
    // The components are one library, and all views share them.
    chunkSizeWarningLimit: 800,
  },
});
