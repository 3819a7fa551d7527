import { useEffect } from "react";

/** Name the page in the browser's tab, which screen readers read first. */
export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} - Winnow`;
  }, [title]);
}
