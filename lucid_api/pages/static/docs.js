// The OpenAPI document, shown by Swagger UI from this service alone.

const place = document.getElementById("api");
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);

follow();
dark.addEventListener("change", follow);
SwaggerUIBundle({
  domNode: place,
  url: place.dataset.url,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  supportedSubmitMethods: [],
  syntaxHighlight: false,
  validatorUrl: null,
});

// Swagger UI leaves the choice of an example without a name.
new MutationObserver(() => {
  for (const choice of place.querySelectorAll("select:not([aria-label])")) choice.setAttribute("aria-label", "Show");
}).observe(place, { childList: true, subtree: true });
