// Forms that ask the API to change something: they send JSON, and say beside their button what comes of it.
//
// `data-send` is what they send, if not their fields; `data-method` outweighs POST; `data-sure` is asked first; `data-then`
// is where to go when it is done, `data-done` what to say; `data-show` the member of the answer that is shown in the
// form's <output>.

import { explain, good } from "./problems.js";

const token = document.querySelector("meta[name=csrf-token]")?.content;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[action^='/api/']")) return;
  event.preventDefault();
  if (!form.dataset.sure || confirm(form.dataset.sure)) submit(form);
});

async function submit(form) {
  const status = form.querySelector("[role=status]");
  const button = form.querySelector("button");
  const { then, show } = form.dataset;
  button.disabled = true;
  status.textContent = "One moment …";
  try {
    const answer = await send(form);
    status.textContent = form.dataset.done ?? "Done.";
    document.dispatchEvent(new Event("asked"));
    if (show) form.querySelector("output").textContent = (await answer.json())[show];
    if (then) location.assign(then);
  } catch (error) {
    status.textContent = explain(error);
  } finally {
    button.disabled = false;
  }
}

async function send(form) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers["X-CSRF-Token"] = token;
  const body = form.dataset.send ?? JSON.stringify(fieldsOf(form));
  return good(await fetch(form.action, { method: form.dataset.method ?? "POST", headers, body: body || undefined }));
}

/** What is filled in; numbers as numbers, ticks as truth. */
function fieldsOf(form) {
  const filled = [...form.elements].filter(({ name, value }) => name && value !== "");
  const valueOf = ({ type, value, valueAsNumber, checked }) =>
    ({ number: valueAsNumber, checkbox: checked })[type] ?? value;
  return Object.fromEntries(filled.map((field) => [field.name, valueOf(field)]));
}
