// What happens in a run, while it happens.

const list = document.getElementById("run-events");
const status = document.getElementById("events-say");
const source = new EventSource(list.dataset.url);

source.addEventListener("open", () => (status.textContent = "Listening …"));
source.addEventListener("error", () => (status.textContent = "The connection broke; trying again …"));
source.addEventListener("message", ({ data }) => show(JSON.parse(data)));
source.addEventListener("end", ({ data }) => {
  source.close();
  const { status: end } = JSON.parse(data);
  status.textContent = `The run has ended: ${end}.`;
  if (list.dataset.moving) location.reload();
});

function show({ at, stage, message, level }) {
  const row = document.createElement("li");
  const time = document.createElement("time");
  const text = document.createElement("span");
  time.dateTime = at;
  time.textContent = at.slice(11, 19);
  text.className = "text";
  text.textContent = [level === "error" ? "✕ error" : "", stage, message].filter(Boolean).join(" · ");
  row.append(time, text);
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 8;
  list.append(row);
  if (atEnd) list.scrollTop = list.scrollHeight;
}
