// A list that can be walked by keys: `/` to search, `j` and `k` to go down and up, Enter to open.

const search = document.querySelector("input[type=search]");
const links = [...document.querySelectorAll("[data-rows] tbody tr")].map((row) => row.querySelector("a"));

const actions = {
  "/": () => {
    search?.focus();
    search?.select();
  },
  j: () => go(1),
  k: () => go(-1),
};

document.addEventListener("keydown", (event) => {
  const { altKey, ctrlKey, metaKey, key, target } = event;
  if (altKey || ctrlKey || metaKey) return;
  if (key === "Escape" && target === search) search.blur();
  if (target.closest("input, select, textarea, [contenteditable]") || !(key in actions)) return;
  event.preventDefault();
  actions[key]();
});

// A page knows where the next one begins, and not where the one before did: that is remembered on the way.
const next = document.querySelector("a[rel=next]");
const previous = document.querySelector("a[rel=prev]");
const before = sessionStorage.getItem(location.href);
if (next) next.addEventListener("click", () => sessionStorage.setItem(next.href, location.href));
if (previous && before) Object.assign(previous, { href: before, hidden: false });

function go(step) {
  const now = links.indexOf(document.activeElement);
  const next = now < 0 ? 0 : Math.min(Math.max(now + step, 0), links.length - 1);
  links[next]?.focus();
}
