// A Chat space: messages and taps of a person, and messages of the app and its jobs.

import { $, busy, counting, fill, h, link, post, show } from "./dom.js";

let refresh;
let thread = "";
let latest = "";
const dialog = h("dialog.chat-dialog", { "aria-label": "Dialog of the app" });

export const path = () => "/api/chat";

export function start(about, again) {
  refresh = again;
  const form = $("#say");
  form.elements.email.value = about.person;
  $("#chat-note").textContent = about.sees_posts ? "" : "The real Chat is configured: messages from jobs appear in Google Chat, not here.";
  form.addEventListener("submit", event => {
    event.preventDefault();
    const text = $("#words").value.trim();
    if (text) send(event.submitter ?? $("button.primary", form), "say", { text, thread }).then(isSaid => isSaid && ($("#words").value = ""));
  });
  $("#in-thread button").addEventListener("click", () => reply(""));
  document.body.append(dialog);
}

async function send(button, verb, said) {
  const generation = $("#generation input:checked").value;
  let isSaid = true;
  show($("#say-problem"), "");
  await busy(button, async () => {
    const answer = await post(`/api/chat/${verb}`, { ...said, generation, email: $("#say").elements.email.value });
    open(answer.dialog, said.message);
    await refresh();
  }, problem => {
    isSaid = false;
    show($("#say-problem"), problem.message);
  });
  return isSaid;
}

/** Show the dialog that an answer brings, in the place of an open one; without one, close it. */
function open(shown, about) {
  if (!shown) return dialog.close();
  const head = h("div.head", {}, h("h2", {}, shown.title), h("button.close", { "aria-label": "Close", onclick: () => dialog.close() }, "✕"));
  dialog.replaceChildren(head, card({ ...shown, title: "" }, about, true));
  if (!dialog.open) dialog.showModal();
}

function act(button, message) {
  const number = prompt("The id of the message action in the app's configuration, such as 101");
  if (number) send(button, "act", { message, number });
}

function reply(to, words = "") {
  thread = to;
  $("#in-thread").hidden = !to;
  $("#in-thread q").textContent = words;
  $("#words").focus();
}

/** Show the threads, the one with the newest message last. */
export function update({ messages }) {
  const threads = new Map();
  for (const message of messages) {
    const earlier = threads.get(message.thread) ?? [];
    threads.delete(message.thread);
    threads.set(message.thread, [...earlier, message]);
  }
  const place = $("#threads");
  fill(place, messages.length ? [...threads.keys()] : [0], each => (each === 0 ? nothing() : block(threads.get(each))));
  for (const article of place.querySelectorAll("article")) {
    fill(article.firstChild, threads.get(JSON.parse(article.dataset.item)), message);
  }
  const news = messages.at(-1)?.name ?? "";
  if (news !== latest) place.scrollTop = place.scrollHeight;
  latest = news;
}

function nothing() {
  const examples = ["help", "remind me in 1 minute to stretch", "every weekday at 9:00 post \"stand-up\"", "jobs"];
  const buttons = examples.map(text => h("button", { onclick: event => send(event.target, "say", { text, thread: "" }) }, text));
  return h("div.empty", {}, h("p", {}, "No messages yet. Write as you would in a Google Chat space, or start with one of these:"), h("div.actions", {}, buttons));
}

function block([first]) {
  const words = first.text.map(piece => piece.text).join("").slice(0, 60) || "a card";
  const answer = h("button.quiet", { onclick: () => reply(first.thread, words) }, "Reply");
  return h("article.thread", {}, h("div"), !first.elsewhere && answer);
}

function message({ name, who, is_app, is_private, elsewhere, at, text, cards, failure }) {
  const body = h("div.said", {},
    h("p.by", {}, h("strong", {}, who), " ", counting(at, at), is_private && " · only you see this", elsewhere && ` · in ${elsewhere}`),
    text.length > 0 && h("p.text", { dir: "auto" }, text.map(piece)), failure && h("p.problem", {}, failure),
    !is_app && h("button.quiet.act", { title: "Choose a message action of the app for this message", onclick: event => act(event.target, name) }, "Action"),
  );
  for (const shown of cards) body.append(card(shown, name));
  return h(is_app ? "div.message.app" : "div.message", {}, h("span.face", { "aria-hidden": "true" }, who.slice(0, 1)), body);
}

function piece({ text, styles, href }) {
  const said = styles.length ? h(["span", ...styles].join("."), {}, text) : text;
  return href ? link(href, said) : said;
}

function card({ title, subtitle, sections }, message, in_dialog = false) {
  const place = h("div.chat-card", {}, title && h("header", {}, h("strong", {}, title), subtitle && h("small", {}, subtitle)));
  place.append(...sections.map(({ header, widgets }) =>
    h("section", {}, header.length > 0 && h("p.bold", {}, header.map(piece)), widgets.map(each => widget(each, message, place, in_dialog)))));
  return place;
}

function widget(shown, message, place, in_dialog) {
  const button = each => (each.href ? link(each.href, each.text) : h("button", {
    disabled: !each.action,
    onclick: event => send(event.target, "tap", { message, action: each.action, inputs: inputs(place), in_dialog }),
  }, each.text));
  switch (shown.kind) {
    case "decorated":
      return h("div.decorated", {}, h("small", {}, shown.topLabel.map(piece)), h("p.text", { dir: "auto" }, shown.text.map(piece)), h("small.text", {}, shown.bottomLabel.map(piece)), shown.buttons.map(button));
    case "buttons":
      return h("div.actions", {}, shown.buttons.map(button));
    case "input":
      return h("label", {}, shown.label, shown.is_long
        ? h("textarea", { name: shown.name, rows: 3 }, shown.value)
        : h("input", { name: shown.name, value: shown.value, autocomplete: "off" }));
    case "columns":
      return h("div.columns", {}, shown.columns.map(inner => h("div", {}, inner.map(each => widget(each, message, place, in_dialog)))));
    case "divider":
      return h("hr");
    default:
      return h("p.text", { dir: "auto" }, shown.text.map(piece));
  }
}

const inputs = place => Object.fromEntries([...place.querySelectorAll("input, textarea")].map(input => [input.name, input.value]));
