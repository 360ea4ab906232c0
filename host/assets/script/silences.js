// The preview follows what is typed.
import "./alert.js";
import { renew } from "./renew.js";

const field = document.querySelector('#new input[name="matchers"]');
let timer = 0;
field?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const query = new URLSearchParams({ matchers: field.value });
    renew(["preview"], `${location.pathname}?${query}`).catch(() => {});
  }, 300);
});
