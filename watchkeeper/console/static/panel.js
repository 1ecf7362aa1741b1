// One job, opened beside the current view: why it runs or does not, its runs over time, their logs, and its commands.

import { $, busy, counting, fill, get, h, link, post, show } from "./dom.js";
import * as maker from "./maker.js";
import { go, read } from "./route.js";

const LABELS = { run: "Run now", retry: "Retry", resume: "Resume", pause: "Pause", undo: "Undo cancel", cancel: "Cancel", delete: "Delete" };
const LINES = 300; // of a log, the last
const panel = $("#panel");
let about;
let refresh;
let id = "";
let older = []; // the history, as far as it was read
let hasMore = false;
let ranAt; // when the latest of them ended
let wasPaused = false; // when it was cancelled here

export function start(given, again) {
  [about, refresh] = [given, again];
  panel.addEventListener("close", () => read().id && go({ id: "", params: { run: "" } }));
  panel.addEventListener("click", event => event.target === panel && panel.close());
}

/** Open a job, perhaps to show the run that began at a time. */
export const open = (jobId, run = "") => go({ id: jobId, params: { run } });

/** Show the job that the address names, or none. */
export function turnTo(jobId) {
  if (jobId === id) return;
  [id, older, hasMore, ranAt, wasPaused] = [jobId, [], false, undefined, false];
  panel.replaceChildren(id ? h("div", {}, head(id), h("p.soft", {}, "Loading…")) : "");
  if (id && !panel.open) panel.showModal();
  if (!id && panel.open) panel.close();
}

const head = title => h("div.head", {}, h("h2", { dir: "auto" }, title),
  h("button.close", { "aria-label": "Close", "data-focus": "close", onclick: () => panel.close() }, "✕"));

/** Show above the job what is wrong, since the panel may cover the whole page. */
export const showTrouble = message => (message ? (panel.dataset.trouble = message) : delete panel.dataset.trouble);

/** Read the open job, and its history where it has run since; show the reason if it cannot be read. */
export async function load() {
  if (!id) return null;
  const wanted = id;
  try {
    const job = await get(path());
    if (job.ran_at !== ranAt && wanted === id) {
      ({ runs: older, has_more: hasMore } = await get(`${path()}/runs`));
      ranAt = job.ran_at;
    }
    return job;
  } catch (problem) {
    if (!problem.status) throw problem; // the page shows that the server does not respond
    return { id: wanted, title: wanted, problem: problem.message };
  }
}

const path = () => `/api/jobs/${encodeURIComponent(id)}`;

export function update(job) {
  if (job.id !== id) return;
  const runs = older.length ? older : job.runs ?? []; // without a history the job has its last ten
  fill(panel, [{ ...job, runs, hasMore, run: read().params.get("run") }], content);
  if (!panel.contains(document.activeElement)) ($(".actions button", panel) ?? $(".close", panel)).focus(); // its button went
  const chosen = $(".runs .chosen", panel);
  if (chosen && panel.dataset.shown !== chosen.id) {
    panel.dataset.shown = chosen.id;
    chosen.scrollIntoView({ block: "center" });
    chosen.focus();
  }
}

function content({ title, problem, status, queue, why, ready_at, next, schedule, facts, payload, runs, hasMore, run: chosen, commands, error }) {
  if (problem) return h("div", {}, head(title), h("p.problem", { role: "alert" }, problem));
  const refusal = h("p.problem", { role: "alert", hidden: true });
  const button = (label, act, kind = "button") =>
    h(kind, { "data-focus": `command ${label}`, onclick: event => busy(event.target, act, failed => show(refusal, failed.message)) }, label);
  const buttons = [
    ...commands.filter(name => !["cancel", "delete"].includes(name)).map(name => button(LABELS[name], () => command(name))),
    button("Edit", () => maker.edit(id)), button("Duplicate", () => maker.duplicate(id)),
    ...commands.filter(name => ["cancel", "delete"].includes(name)).map(name => button(LABELS[name], () => command(name), "button.danger")),
  ];
  const table = facts.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]);
  return h("div", {}, head(title),
    h("p", {}, h(`span.status.${queue ? "queued" : status}`, {}, queue ? "waiting" : status), " ", h("code", {}, id)),
    h("p.why", {}, why), h("p.soft", {}, schedule, ready_at && [", ", counting(ready_at, next)]),
    !about.is_read_only && h("div.actions", {}, buttons), refusal,
    error && !why.includes(error) && [h("h3", {}, "Error"), h("p.problem", {}, error)],
    h("h3", {}, "Runs"),
    runs.length ? [bars(runs), h("ol.runs", {}, runs.map(each => run(each, each.at === chosen)))] : h("p.soft", {}, "It has not run yet."),
    hasMore && button("Older runs", readOlder),
    h("h3", {}, "Payload"), h("pre", {}, payload), h("h3", {}, "Details"), h("dl.facts", {}, table),
  );
}

/** Draw the runs over time, the newest at the right: the longer it took, the higher. A click goes to the run below. */
function bars(runs) {
  const longest = Math.max(...runs.map(({ seconds }) => seconds), 1e-9);
  const shown = [...runs].reverse().map(each => {
    const bar = h(`i.${kind(each)}`);
    bar.style.height = `${Math.max(12, (each.seconds / longest) * 100)}%`;
    return h("button.bar", { tabindex: -1, title: `${each.outcome}, ${each.local}; ${each.says}`, "aria-hidden": "true", onclick: () => open(id, each.at) }, bar);
  });
  return h("div.bars", { "aria-hidden": "true" }, shown);
}

const kind = ({ outcome }) => (["completed", "later"].includes(outcome) ? "good" : "bad");

function run({ at, outcome, local, says, output, trace, log }, isChosen) {
  const lines = h("pre.log", { hidden: true, tabindex: 0, "aria-label": "Log" });
  const showLog = event => busy(event.target, async () => {
    const found = (await get(log)).lines;
    const cut = found.length > LINES ? `(the last ${LINES} of ${found.length} lines)\n` : "";
    show(lines, cut + (found.slice(-LINES).map(({ at, severity, text }) => `${at}  ${severity}  ${text}`).join("\n") || "Nothing was logged."));
  }, failed => show(lines, failed.message));
  const logged = log && (log.startsWith("/") ? h("button.quiet", { onclick: showLog, "data-focus": `log ${at}` }, "Log") : link(log, "Log"));
  return h(isChosen ? "li.chosen" : "li", { id: `run-${at}`, tabindex: isChosen ? -1 : undefined }, h(`i.mark.${outcome}`), h("div", {},
    h("strong", {}, outcome), " ", local, " ", logged, says && h("small", {}, says), trace && h("pre", {}, trace), output && h("pre", {}, output), lines));
}

async function readOlder() {
  const { runs, has_more } = await get(`${path()}/runs?after=${encodeURIComponent(older.at(-1).id)}`);
  [older, hasMore] = [[...older, ...runs], has_more];
  await refresh();
}

async function command(name) {
  if (name === "delete" && !confirm(`Delete ${id}? Its runs stay in the history.`)) return;
  const { status } = name === "cancel" ? await get(path()) : {};
  await post(`${path()}/${name}`, name === "undo" ? { is_paused: wasPaused } : {});
  wasPaused = status === "paused";
  if (name === "delete") panel.close();
  else await refresh();
}
