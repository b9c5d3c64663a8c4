/** Light or dark: the system's choice unless the reader made one, which is remembered. */

import { ref } from "vue";

export type Theme = "system" | "light" | "dark";
const KEY = "hounsfield.theme";

function remembered(): Theme {
  const theme = document.documentElement.dataset.theme;
  return theme === "light" || theme === "dark" ? theme : "system";
}

export const theme = ref<Theme>(remembered());

export function setTheme(next: Theme): void {
  theme.value = next;
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // Storage may be blocked; the choice then lasts as long as the page.
  }
}
