// Conveniences: the pages also work without this script.
"use strict";

// Ignore a second click, as the server would, too.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
});
// After the back button, allow a form to be sent again.
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// Enter sends; Shift+Enter starts a new line.
for (const field of document.querySelectorAll("textarea[data-send]")) {
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (field.value.trim()) field.form.requestSubmit(field.form.querySelector("button"));
  });
  if (!field.disabled && location.hash === "#last") field.focus({ preventScroll: true });
}

// The utterance is required unless the choice is "unsure".
const named = [...document.querySelectorAll("input[name=utterance]")];
const chosen = [...document.querySelectorAll("input[name=choice]")];
const update = () => {
  const unsure = chosen.some((one) => one.checked && one.value === "unsure");
  for (const one of named) one.required = !unsure;
};
if (named.length) {
  for (const one of chosen) one.addEventListener("change", update);
  update();
}

// Reload the page once the reply has arrived.
const chat = document.querySelector("[data-waiting]");
const look = async () => {
  try {
    const answer = await fetch(chat.dataset.waiting, { cache: "no-store" });
    if (answer.ok && !(await answer.json()).waiting) {
      location.replace("/study#last");
      location.reload();
      return;
    }
  } catch {
    // The next poll may succeed.
  }
  setTimeout(look, 1000);
};
if (chat) {
  document.getElementById("writing").scrollIntoView({ block: "center" });
  setTimeout(look, 700);
}

const problems = document.getElementById("problems");
if (problems) problems.focus();
