// The view Now: what needs a person, the timeline, the subscriptions, the latest tick, and which services are real.

import { $, busy, counting, fill, h, link, now, post, show } from "./dom.js";
import * as panel from "./panel.js";
import { go, read } from "./route.js";

const HOUR = 3_600_000;
const OUTCOMES = ["completed", "failed", "retried", "later", "died", "missed", "running", "upcoming"];
let about;
let refresh;

export const path = () => "/api/now";

export function start(given, again) {
  [about, refresh] = [given, again];
  $("#tick-now").addEventListener("click", event =>
    busy(event.target, () => post("/api/call/tick").then(refresh), problem => show($("#tick-problem"), problem.message)),
  );
  $("#legend").append(...OUTCOMES.map(name => h("span", {}, h(`i.mark.${name}`), name)), h("span", {}, h("i.late"), "late"));
  const rows = [{ name: "Jobs", address: about.place }, ...about.services, ...about.functions.map(each => ({ ...each, state: "real" }))];
  $("#services").append(...rows.map(service));
  const fakes = about.services.filter(({ state }) => state === "fake").map(({ name }) => name);
  $("#real").textContent = fakes.length ? `Fakes here: ${fakes.join(", ")}. All else is real.` : "All of this is real.";
  for (let minutes = -60; minutes <= 60; minutes += 30) $("#axis").append(h("span", { "data-minutes": minutes }));
  const lanes = $("#lanes");
  for (const place of [lanes, $("#day")]) {
    place.addEventListener("keydown", walk);
    for (const kind of ["focusin", "pointerover"]) place.addEventListener(kind, explain);
    for (const kind of ["focusout", "pointerleave"]) place.addEventListener(kind, () => ($("#mark-says").hidden = true));
  }
}

function service({ name, address, state, schedule }) {
  const other = state === "fake" ? "part of this run" : "as configured";
  const shown = state === "fake" && address ? link(`${address}/stand-in`, address) : address || other;
  return h("div", {}, h("dt", {}, name), h("dd", {}, state && h(`span.tag.${state}`, {}, state), " ", shown, schedule && h("small", {}, schedule)));
}

export function update(data) {
  fill($("#health"), data.health, figure);
  $("#health-note").textContent = about.is_billed ? "changes by others show within ten minutes" : "";
  if (read().params.get("show") === "subscriptions") {
    go({ params: { show: "" } }, { replace: true });
    $("#subscriptions-card").focus();
    $("#subscriptions-card").scrollIntoView();
  }
  showDay(data);
  showTick(data.tick);
  fill($("#lanes"), data.lanes, lane);
  if (!data.lanes.length) fill($("#lanes"), [0], () => h("p.empty", {}, `Nothing ran in the last hour, and nothing will run in the next.${about.is_read_only ? "" : " Create a job under Jobs."}`));
  const notes = [
    data.left_out && `${data.left_out} more jobs are not shown`,
    about.is_billed && `read every ${about.poll_seconds} s, because reads are billed`,
    `times in ${about.timezone}`,
  ];
  $("#timeline-note").textContent = notes.filter(Boolean).join("; ");
  fill($("#subscriptions"), data.subscriptions, subscription);
  if (!data.subscriptions.length) fill($("#subscriptions"), [0], () => h("p.empty", {}, "No subscriptions yet. gmail_watch and airtable_refresh record them with their first renewal."));
  place();
}

// -- health -----------------------------------------------------------------------------------------------------------

const MARKS = { good: "✓", info: "…", bad: "!" };

const figure = ({ name, count, level, says, address }) =>
  h("li", {}, h(`a.figure.${level}`, { href: address, "data-focus": `figure ${name}` },
    h("span.level", { "aria-hidden": "true" }, MARKS[level]), h("b", {}, count), " ", h("span", {}, name), h("small", {}, says)));

// -- the last day -----------------------------------------------------------------------------------------------------

function showDay({ day, day_is_partial }) {
  const [good, bad] = ["good", "bad"].map(name => day.reduce((sum, each) => sum + each[name], 0));
  const most = Math.max(...day.map(each => Math.max(each.good, each.bad)), 1);
  $("#day-note").textContent = good + bad ? `${good} runs succeeded, ${bad} failed or were missed${day_is_partial ? ", of the latest 5,000" : ""}` : "No run in the last 24 hours.";
  fill($("#day"), good + bad ? day : [], ({ begin, local, good, bad }) => {
    const label = `from ${local}: ${good} succeeded, ${bad} failed or were missed`;
    const [up, down] = [h("i.good"), h("i.bad")];
    up.style.height = `${(Math.sqrt(good / most)) * 100}%`;
    down.style.height = `${(Math.sqrt(bad / most)) * 100}%`;
    return h("span.interval", { role: "img", tabindex: begin === day.at(-1).begin ? 0 : -1, "aria-label": label, "data-focus": `day ${begin}` }, h("span", {}, up), h("span", {}, down));
  });
  $("#day-axis").hidden = !(good + bad);
}

// -- tick -------------------------------------------------------------------------------------------------------------

function showTick({ last, next }) {
  const state = $("#tick-state");
  const problem = last?.problem ?? "";
  $("#tick-figures").hidden = true;
  if (about.is_read_only) return fill(state, ["Cloud Scheduler calls the tick; its metrics are in the function's log."], text => h("span", {}, text));
  if (!last) fill(state, ["None yet"], text => h("span", {}, text));
  else fill(state, [last.began_at, `, took ${last.took}`, next], part => (part.includes("took") || !part ? h("span", {}, part) : part === next ? h("span", {}, "; the next one ", counting(part)) : counting(part)));
  show($("#tick-problem"), problem);
  $("#tick-figures").hidden = !last;
  fill($("#metrics"), Object.entries(last?.metrics ?? {}), ([name, value]) =>
    h(value ? "div" : "div.zero", {}, h("dt", {}, words(name)), h("dd", {}, written(value))));
}

const written = value => (typeof value === "boolean" ? (value ? "yes" : "no") : value < 1e5 ? value.toFixed(Number.isInteger(value) ? 0 : 1) : COMPACT.format(value));
const COMPACT = new Intl.NumberFormat("en", { notation: "compact" });
const WORDS = { max_lateness_seconds: "s late", execution_time_ms: "ms" };
const words = name => WORDS[name] ?? name.replace(/^jobs_/, "").replaceAll("_", " ");

// -- timeline ---------------------------------------------------------------------------------------------------------

function lane({ id, title, marks }) {
  const first = marks.findIndex(mark => mark.outcome === "upcoming");
  return h("div.lane", { role: "listitem" },
    h("button.name", { title, dir: "auto", "data-focus": `lane ${id}`, onclick: () => panel.open(id) }, title),
    h("div.track", {}, marks.map((mark, at) => bar(mark, id, at === Math.max(first - 1, 0)))),
  );
}

function bar({ due, at, until, local, outcome, says }, id, isEntry) {
  const label = [`${outcome}, ${local}`, says].filter(Boolean).join("; ");
  const mark = h(`button.mark.${outcome}`, {
    tabindex: isEntry ? 0 : -1, "aria-label": label, "data-focus": `mark ${id} ${at}`, onclick: () => panel.open(id, at),
  });
  const times = [due, at, until].map(iso => (iso ? Date.parse(iso) : NaN));
  const late = times[1] - times[0] >= 1000 && h("span.late", {});
  return Object.assign(h("span.run", {}, late, mark), { times });
}

/** Place all marks on the timeline as of now. */
export function place() {
  const share = moment => Math.min(Math.max((moment - now() + HOUR) / (2 * HOUR), 0), 1) * 100;
  for (const run of document.querySelectorAll(".run")) {
    const [due, at, until] = run.times;
    const [mark, late] = [$(".mark", run), $(".late", run)];
    mark.style.left = `${share(at)}%`;
    mark.style.width = `${share(Number.isNaN(until) ? now() : until) - share(at)}%`;
    if (late) [late.style.left, late.style.width] = [`${share(due)}%`, `${share(at) - share(due)}%`];
  }
  const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: about?.timezone });
  for (const tick of document.querySelectorAll("#axis span")) {
    const minutes = Number(tick.dataset.minutes);
    tick.textContent = minutes ? clock.format(now() + minutes * 60_000) : `now ${clock.format(now())}`;
    tick.style.left = `${share(now() + minutes * 60_000)}%`;
  }
}

/** Move from mark to mark, or from interval to interval, with the arrow keys. */
function walk(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const lane = event.target.closest(".lane, #day");
  if (!step || !lane) return;
  const stops = [...lane.querySelectorAll(".name, .mark, .interval")];
  stops[stops.indexOf(event.target) + step]?.focus();
  event.preventDefault();
}

function explain({ target }) {
  const spoken = target.closest(".mark, .interval");
  if (!spoken) return ($("#mark-says").hidden = true);
  const says = $("#mark-says");
  show(says, spoken.getAttribute("aria-label"));
  const spot = spoken.getBoundingClientRect();
  says.style.left = `${Math.min(Math.max(spot.left - 20, 8), innerWidth - says.offsetWidth - 8)}px`;
  says.style.top = `${Math.min(spot.bottom + 8, innerHeight - says.offsetHeight - 8)}px`;
}

// -- subscriptions ----------------------------------------------------------------------------------------------------

function subscription({ title, left, function: renewer, expires_at, renewed_at, renewed, error, status }) {
  const level = left > 2 / 7 ? "good" : left > 1 / 7 ? "warn" : "bad";
  const bar = h(`div.left.${level}`, { role: "meter", "aria-label": `Time left of ${title}`, "aria-valuemin": 0, "aria-valuemax": 7, "aria-valuenow": (left * 7).toFixed(1) }, h("span"));
  bar.firstChild.style.width = `${left * 100}%`;
  const problem = h("p.problem", {}, error);
  problem.hidden = !error;
  const renew = h("button", {
    "data-focus": `renew ${title}`,
    onclick: event => busy(event.target, async () => {
      const called = await post(`/api/call/${renewer}`);
      await refresh();
      if (called.problem) throw new Error(called.problem);
    }, failed => show(problem, failed.message)),
  }, "Renew now");
  const ends = expires_at ? ["expires ", counting(expires_at, expires_at)] : [renewed_at ? "never expires" : "expiry not known"];
  const again = renewed_at ? ["renewed ", counting(renewed_at, renewed)] : ["never renewed"];
  return h("div.subscription", {},
    h("div", {}, h("strong", {}, title), h("p.soft", {}, ends, ", ", again, status === "cancelled" && ", cancelled")),
    renewer && !about.is_read_only && renew, bar, problem,
  );
}
