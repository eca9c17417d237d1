// Before the first paint: the theme that was chosen in the console. Later: what a page can do without, but not as well.
(() => {
  try {
    const chosen = localStorage.getItem("skerry.theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
  } catch {
    // A browser that forbids storage gets the system's theme.
  }
  addEventListener("DOMContentLoaded", () => {
    const toc = document.querySelector(".toc");
    if (toc !== null && matchMedia("(max-width: 76rem)").matches) toc.removeAttribute("open");
    if (navigator.clipboard === undefined) return;
    for (const block of document.querySelectorAll(".code")) block.append(copyButton(block.querySelector("code").textContent));
  });

  function copyButton(text) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      const copied = await navigator.clipboard.writeText(text).then(
        () => true,
        () => false,
      );
      button.textContent = copied ? "Copied" : "Not allowed";
      setTimeout(() => {
        button.textContent = "Copy";
      }, 1500);
    });
    return button;
  }
})();
