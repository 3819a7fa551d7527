/** Colours and habits of all components; kept is blue and dropped is orange everywhere. */
import { Badge, createTheme, type CSSVariablesResolver, Modal } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "blue",
  // White words on this shade have a contrast of 4.9.
  primaryShade: 8,
  autoContrast: true,
  luminanceThreshold: 0.35,
  defaultRadius: "md",
  fontFamily:
    'Inter, "Segoe UI", system-ui, -apple-system, "Noto Sans", "Liberation Sans", "DejaVu Sans", sans-serif',
  headings: { fontWeight: "650" },
  components: {
    Modal: Modal.extend({ defaultProps: { lockScroll: false } }),
    // In a narrow table, a column as wide as its word is better than half of the word.
    Badge: Badge.extend({ defaultProps: { miw: "max-content" } }),
  },
});

export const resolver: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--winnow-page": "#f6f8fb",
    "--winnow-card": "#ffffff",
    "--winnow-line": "#e1e6ec",
    "--winnow-kept": "#1c7ed6",
    "--winnow-dropped": "#f08c00",
    "--winnow-kept-text": "#1864ab",
    "--winnow-dropped-text": "#a64b00",
    "--mantine-color-dimmed": "#596470",
    "--mantine-color-placeholder": "#5f6a76",
  },
  dark: {
    "--winnow-page": "#14171c",
    "--winnow-card": "#1c2128",
    "--winnow-line": "#2f3742",
    "--winnow-kept": "#4dabf7",
    "--winnow-dropped": "#ffa94d",
    "--winnow-kept-text": "#74c0fc",
    "--winnow-dropped-text": "#ffc078",
    "--mantine-color-dimmed": "#a3adba",
    "--mantine-color-placeholder": "#98a2b0",
  },
});
