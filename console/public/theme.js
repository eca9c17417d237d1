// Before the first paint, and not inline: the content security policy allows no inline script.
(() => {
  try {
    const chosen = localStorage.getItem("skerry.theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
  } catch {
    // A browser that forbids storage gets the system's theme.
  }
})();
