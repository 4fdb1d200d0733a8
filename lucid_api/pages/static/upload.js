// Sends a recording, and tells how much of it has gone.

import { explain, good } from "./problems.js";

const form = document.getElementById("upload");
const progress = form.querySelector("progress");
const status = form.querySelector("[role=status]");
const button = form.querySelector("button");
const token = document.querySelector("meta[name=csrf-token]")?.content;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { file, ...about } = Object.fromEntries(new FormData(form));
  button.disabled = true;
  progress.hidden = false;
  status.textContent = "Sending …";
  try {
    const { session_id: id } = await (await good(await send(file, about))).json();
    location.assign(`/sessions/${id}`);
  } catch (error) {
    status.textContent = explain(error);
    progress.hidden = true;
    button.disabled = false;
  }
});

/** By the older way of asking, since the newer one does not tell how much has gone. */
function send(file, about) {
  const query = new URLSearchParams({ name: file.name });
  for (const [name, value] of Object.entries(about)) if (value) query.set(name, value);
  const request = new XMLHttpRequest();
  request.open("POST", `${form.dataset.url}?${query}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  if (token) request.setRequestHeader("X-CSRF-Token", token);
  request.upload.addEventListener("progress", ({ loaded, total }) => Object.assign(progress, { max: total, value: loaded }));
  return new Promise((resolve, reject) => {
    request.addEventListener("load", () => resolve(new Response(request.response, { status: request.status })));
    request.addEventListener("error", () => reject(new TypeError("no answer")));
    request.send(file);
  });
}
