// Keyboard shortcuts, persona cards, navigation in the list from which a conversation was opened,
// and the live state of runs in progress. Every page also works without this script.
"use strict";

const LIST = "convogen-list";
const KEYS = "convogen-keys-off";
const POLL_MS = 2000;

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const stored = (area, name) => { try { return area.getItem(name); } catch { return null; } };
const store = (area, name, value) => { try { area.setItem(name, value); } catch { /* private window */ } };

// --- navigation in the list ---------------------------------------------------------------------

const links = all("[data-list] .title");
if (document.querySelector("[data-list]")) {
  const list = { at: location.pathname + location.search, links: links.map((link) => link.getAttribute("href")) };
  store(sessionStorage, LIST, JSON.stringify(list));
}

function steps() {
  const place = document.querySelector("[data-steps]");
  if (!place) return {};
  let list = null;
  try { list = JSON.parse(stored(sessionStorage, LIST)); } catch { /* not ours */ }
  const found = { up: place.querySelector("[data-step=up]") };
  const nth = Array.isArray(list?.links) ? list.links.indexOf(location.pathname + location.search) : -1;
  if (nth < 0) return found;
  if (typeof list.at === "string" && /^\/(compare)?(\?|$)/.test(list.at)) found.up.setAttribute("href", list.at);
  for (const [name, href] of [["previous", list.links[nth - 1]], ["next", list.links[nth + 1]]]) {
    if (typeof href !== "string" || !/^\/(conversation|pair)\?/.test(href)) continue;
    found[name] = place.querySelector(`[data-step=${name}]`);
    found[name].setAttribute("href", href);
    found[name].hidden = false;
  }
  return found;
}
const way = steps();

// --- keyboard -----------------------------------------------------------------------------------

const rows = links.length ? links : all(".turns > li");
const help = document.getElementById("help");

function move(by) {
  if (!rows.length) return;
  const held = rows.findIndex((row) => row === document.activeElement || row.contains(document.activeElement));
  const next = held < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, held + by));
  rows[next].focus();
  rows[next].scrollIntoView({ block: "nearest" });
}

function unfoldAll() {
  const folds = all(".behind");
  const open = !folds.some((fold) => fold.open);
  folds.forEach((fold) => { fold.open = open; });
}

function unfold() {
  const folds = document.activeElement?.matches(".turns > li") ? all(".behind", document.activeElement) : [];
  const open = !folds.some((fold) => fold.open);
  folds.forEach((fold) => { fold.open = open; });
  return folds.length > 0;
}

const actions = {
  j: () => move(1),
  k: () => move(-1),
  n: () => way.next?.click(),
  p: () => way.previous?.click(),
  u: () => way.up?.click(),
  e: unfoldAll,
  "/": () => document.getElementById("q")?.focus(),
  "?": () => help?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.("input, select, textarea, dialog")) {
    if (event.key === "Escape") event.target.blur?.();
    return;
  }
  if (event.key === "Enter" && unfold()) event.preventDefault();
  const action = stored(localStorage, KEYS) ? null : actions[event.key];
  if (action) { event.preventDefault(); action(); }
});

for (const opener of all("[data-open]")) {
  opener.hidden = false;
  opener.addEventListener("click", () => document.getElementById(opener.dataset.open)?.showModal());
}
const keysOn = document.getElementById("keys-on");
if (keysOn) {
  keysOn.checked = !stored(localStorage, KEYS);
  keysOn.addEventListener("change", () => store(localStorage, KEYS, keysOn.checked ? "" : "off"));
}

// --- persona cards ------------------------------------------------------------------------------

function place(card, button) {
  const at = button.getBoundingClientRect();
  const wide = document.documentElement.clientWidth;
  card.classList.add("placed");
  card.style.left = `${Math.max(8, Math.min(at.left, wide - card.offsetWidth - 8))}px`;
  const below = at.bottom + 6;
  const fits = below + card.offsetHeight < window.innerHeight || at.top < card.offsetHeight + 12;
  card.style.top = `${Math.max(8, fits ? below : at.top - card.offsetHeight - 6)}px`;
}

const hovers = window.matchMedia("(hover: hover)").matches;
for (const button of all("[popovertarget]")) {
  const card = document.getElementById(button.getAttribute("popovertarget"));
  if (!card?.showPopover) continue;
  let byHover = false;
  let waiting = 0;
  const show = () => { if (!card.matches(":popover-open")) { card.showPopover(); byHover = true; } place(card, button); };
  const hide = () => { if (byHover && card.matches(":popover-open")) card.hidePopover(); byHover = false; };
  const soon = (what, ms) => { clearTimeout(waiting); waiting = setTimeout(what, ms); };
  card.addEventListener("toggle", (event) => { if (event.newState === "open" && document.activeElement === button) place(card, button); });
  button.addEventListener("click", (event) => { // a card that is already shown stays open
    clearTimeout(waiting);
    if (byHover && card.matches(":popover-open")) event.preventDefault();
    byHover = false;
  });
  if (!hovers) continue;
  button.addEventListener("pointerenter", () => soon(show, 250));
  button.addEventListener("pointerleave", () => soon(hide, 200));
  card.addEventListener("pointerenter", () => clearTimeout(waiting));
  card.addEventListener("pointerleave", () => soon(hide, 200));
  button.addEventListener("focus", () => { if (button.matches(":focus-visible")) show(); });
  button.addEventListener("blur", hide);
}

// --- runs in progress ---------------------------------------------------------------------------

function follow(section) {
  const before = Number(section.dataset.rows);
  const news = document.querySelector("[data-new]");
  async function look() {
    if (document.visibilityState === "visible") {
      try {
        const answer = await fetch(section.dataset.live, { headers: { Accept: "application/json" } });
        if (!answer.ok) return;
        const now = await answer.json();
        for (const spot of all("[data-text]", section)) spot.textContent = now.texts[spot.dataset.text] ?? "";
        const bar = section.querySelector("[data-percent]");
        if (bar && now.percent !== null) bar.value = now.percent;
        const read = section.querySelector("[data-read]");
        if (read) read.value = now.read;
        if (news && now.rows > before) {
          news.textContent = `${(now.rows - before).toLocaleString("en")} more: show`;
          news.hidden = false;
        }
        if (now.state === "complete" && now.read === 100) return;
      } catch { /* the server has stopped or is busy: retry */ }
    }
    setTimeout(look, POLL_MS);
  }
  setTimeout(look, POLL_MS);
}
all("[data-going]").forEach(follow);

if (document.querySelector("[data-reload]")) setTimeout(() => location.reload(), POLL_MS);
