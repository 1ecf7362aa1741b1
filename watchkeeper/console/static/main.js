// Selects the view that the address names, and polls the server.

import * as chat from "./chat.js";
import { $, countTimes, get, keepToken, setNow, show } from "./dom.js";
import * as jobs from "./jobs.js";
import * as now from "./now.js";
import * as panel from "./panel.js";
import { read } from "./route.js";

const views = { now, jobs, chat };
const SLOW = 300; // milliseconds until a load counts as slow
let about;
let isAway = true; // or not greeted yet
let timer;
let turn = 0;
const readAt = {}; // by view: the time of the figures that it shows

const named = () => read().view;
const current = () => (Object.hasOwn(views, named()) && (named() !== "chat" || about?.has_chat) ? named() : "now");

/** Refresh from the server. If two refreshes overlap, the later one counts. */
export async function refresh() {
  const mine = ++turn;
  clearTimeout(timer);
  const slow = setTimeout(() => ($("#loading").hidden = false), SLOW);
  try {
    if (isAway) await greet();
    const name = current();
    const [data, job] = await Promise.all([get(views[name].path()), panel.load()]);
    if (mine !== turn) return;
    if (data.now) setNow(data.now);
    views[name].update(data);
    if (job) panel.update(job);
    readAt[name] = new Date();
    showTrouble("");
  } catch (problem) {
    isAway ||= !problem.status;
    if (mine !== turn) return;
    showTrouble(problem.message);
  } finally {
    clearTimeout(slow);
    if (mine === turn) $("#loading").hidden = true;
  }
  if (!document.hidden) timer = setTimeout(refresh, (about?.poll_seconds ?? 2) * 1000);
}

/** Show what is wrong, and how old the figures are: nobody should take them for the present ones. */
function showTrouble(message) {
  const since = readAt[current()];
  const age = since ? `What you see is from ${since.toLocaleTimeString([], { hourCycle: "h23", timeZone: about.timezone, timeZoneName: "short" })}.` : "Nothing could be read yet.";
  const text = message && `${message.replace(/\.?$/, ".")} ${age}`;
  show($("#trouble"), text);
  panel.showTrouble(text);
  $("main").classList.toggle("old", Boolean(message));
  $("main").classList.toggle("unknown", !since);
}

/** Ask the server what to show. Reload if a new run has replaced the old one. */
async function greet() {
  const answer = await get("/api/about");
  if (about && about.run !== answer.run) return location.reload();
  about ??= start(answer);
  isAway = false;
  turnTo();
}

function start(about) {
  $("#place").textContent = `Jobs ${about.place}`;
  $("#read-only").hidden = !about.is_read_only;
  $("nav [href='#chat']").hidden = !about.has_chat;
  for (const element of document.querySelectorAll("[data-changes]")) element.hidden = about.is_read_only;
  for (const view of [...Object.values(views), panel]) view.start(about, refresh);
  return about;
}

function turnTo() {
  for (const section of document.querySelectorAll("[data-view]")) section.hidden = section.dataset.view !== current();
  for (const tab of document.querySelectorAll("nav a")) {
    tab.hash.slice(1) === current() ? tab.setAttribute("aria-current", "page") : tab.removeAttribute("aria-current");
  }
  $("main").classList.toggle("unknown", !readAt[current()]);
  if (about) panel.turnTo(read().id);
}

keepToken();
addEventListener("hashchange", async () => {
  keepToken(); // an address that is pasted into an open tab loads nothing again
  turnTo();
  await refresh();
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
setInterval(() => {
  countTimes();
  now.place();
}, 1000);
turnTo();
await refresh();
