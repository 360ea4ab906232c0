// Who acts is asked for once, and remembered in this browser.
import "./renew.js";

const KEY = "anomd-name";
const name = () => document.querySelector('input[name="by"]:not([type=hidden])');
try {
  const kept = localStorage.getItem(KEY) ?? "";
  const field = name();
  if (field && !field.value) field.value = kept;
  for (const hidden of document.querySelectorAll("input[data-by]")) hidden.value = kept;
} catch {
  // A browser that keeps nothing asks each time.
}
document.addEventListener("submit", () => {
  const typed = name()?.value.trim();
  if (!typed) return;
  for (const hidden of document.querySelectorAll("input[data-by]")) hidden.value = typed;
  try {
    localStorage.setItem(KEY, typed);
  } catch {
    // See above.
  }
});
