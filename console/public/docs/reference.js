// The reference of the routes: Swagger UI over /openapi.json, in the theme that was chosen in the console. Not inline,
// because the content security policy allows no inline script.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const paint = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("skerry.theme");
    } catch {
      // A browser that forbids storage gets the system's theme.
    }
    root.classList.toggle("dark-mode", chosen === "dark" || (chosen !== "light" && dark.matches));
  };
  paint();
  dark.addEventListener("change", paint);

  addEventListener("DOMContentLoaded", () => {
    const host = document.getElementById("reference");
    if (host === null || window.SwaggerUIBundle === undefined) return;
    nameControls(host);
    window.SwaggerUIBundle({
      url: "/openapi.json",
      domNode: host,
      deepLinking: true,
      tryItOutEnabled: true,
      // The admin key or a token stays in this page's memory and is gone with it.
      persistAuthorization: false,
      validatorUrl: null,
      syntaxHighlight: { theme: "obsidian" },
      plugins: [accessible],
    });
  });

  /** Fields, lists and buttons that Swagger UI leaves without a name, as it makes them; and a key to what scrolls. */
  function nameControls(host) {
    const name = () => {
      for (const field of host.querySelectorAll(":is(input, select, textarea):not([aria-label], [id])")) {
        const parameter = field.closest("tr")?.querySelector(".parameter__name")?.textContent;
        const inBody = field.closest(".opblock-section-request-body") !== null;
        field.setAttribute(
          "aria-label",
          parameter ?? (field.matches(".examples-select-element") ? "Example" : inBody ? "Request body" : "Value"),
        );
      }
      for (const field of host.querySelectorAll("select.content-type:not([aria-label])")) field.setAttribute("aria-label", "Content type");
      for (const button of host.querySelectorAll(".close-modal:not([aria-label])")) button.setAttribute("aria-label", "Close");
      // Their words are another name than the one they carry.
      for (const button of host.querySelectorAll(".modal-btn[aria-label]")) button.removeAttribute("aria-label");
      for (const text of host.querySelectorAll("pre:not([tabindex])")) text.tabIndex = 0;
    };
    new MutationObserver(name).observe(host, { childList: true, subtree: true });
  }

  /** What Swagger UI leaves in the way of those who use it by keyboard or by ear. */
  function accessible() {
    return {
      wrapComponents: {
        // A path is a link in the button that opens it: a control in a control. Opening it sets the address as well.
        DeepLink: (_original, { React }) => {
          const { createElement } = React;
          return ({ text }) => createElement("span", { className: "nostyle" }, createElement("span", null, text));
        },
        // There is one server, this one; its list of one has no name.
        ServersContainer: () => () => null,
      },
    };
  }
})();
