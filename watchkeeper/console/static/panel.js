// One job, opened beside the current view: why it runs or does not, its last runs, and its commands.

import { $, busy, counting, fill, get, h, post } from "./dom.js";
import { go, read } from "./route.js";

const LABELS = { run: "Run now", retry: "Retry", resume: "Resume", pause: "Pause", cancel: "Cancel" };
const panel = $("#panel");
let about;
let refresh;
let id = "";

export function start(given, again) {
  [about, refresh] = [given, again];
  panel.addEventListener("close", () => read().id && go({ id: "" }));
  panel.addEventListener("click", event => event.target === panel && panel.close());
}

export const open = jobId => go({ id: jobId });

/** Show the job that the address names, or none. */
export function turnTo(jobId) {
  if (jobId === id) return;
  id = jobId;
  panel.replaceChildren(id ? h("p.soft", {}, "Loading…") : "");
  if (id && !panel.open) panel.showModal();
  if (!id && panel.open) panel.close();
}

/** Read the open job; show the reason if it cannot be read. */
export async function load() {
  if (!id) return null;
  return get(`/api/jobs/${encodeURIComponent(id)}`).catch(problem => ({ id, title: id, problem: problem.message }));
}

export function update(job) {
  if (job.id !== id) return;
  fill(panel, [job], content);
  if (!panel.contains(document.activeElement)) ($(".actions button", panel) ?? $(".close", panel)).focus(); // its button went
}

function content({ title, problem, status, queue, why, ready_at, next, schedule, facts, payload, runs, commands, error }) {
  const close = h("button.close", { "aria-label": "Close", "data-focus": "close", onclick: () => panel.close() }, "✕");
  const head = h("div.head", {}, h("h2", {}, title), close);
  if (problem) return h("div", {}, head, h("p.problem", {}, problem));
  const refusal = h("p.problem", { role: "alert", hidden: true });
  const buttons = commands.map(name => h(name === "cancel" ? "button.danger" : "button", {
    "data-focus": `command ${name}`,
    onclick: event => busy(event.target, () => command(name), failed => {
      refusal.textContent = failed.message;
      refusal.hidden = false;
    }),
  }, LABELS[name]));
  const table = facts.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]);
  return h("div", {}, head,
    h("p", {}, h(`span.status.${queue ? "queued" : status}`, {}, queue ? "waiting" : status), " ", h("code", {}, id)),
    h("p.why", {}, why), h("p.soft", {}, schedule, ready_at && [", ", counting(ready_at, next)]),
    !about.is_read_only && h("div.actions", {}, buttons), refusal,
    error && [h("h3", {}, "Error"), h("p.problem", {}, error)],
    h("h3", {}, "Last runs"), runs.length ? h("ol.runs", {}, runs.map(run)) : h("p.soft", {}, "It has not run yet."),
    h("h3", {}, "Payload"), h("pre", {}, payload), h("h3", {}, "Details"), h("dl.facts", {}, table),
  );
}

const run = ({ outcome, local, says, output }) =>
  h("li", {}, h(`i.mark.${outcome}`), h("span", {},
    h("strong", {}, outcome), " ", local, says && h("small", {}, says), output && h("pre", {}, output)));

async function command(name) {
  await post(`/api/jobs/${encodeURIComponent(id)}/${name}`);
  await refresh();
}
