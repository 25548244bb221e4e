/* Buttons, the keys between the parts of the page, and the live picture's events. */
"use strict";

(() => {
  const { words, results, hint, failure, make } = Results;
  const output = document.getElementById("results");
  const lesson = document.body.dataset.lesson;

  async function post(action) {
    const answer = await fetch(action, { method: "POST", headers: { "X-Limani-Lab": "1" }, redirect: "error" });
    const type = answer.headers.get("Content-Type") || "";
    if (!type.startsWith("application/json")) {
      return { error: { message: await answer.text(), hint: "" } };
    }
    return answer.json();
  }

  function button(id, waiting, show) {
    const element = document.getElementById(id);
    element.addEventListener("click", async () => {
      if (element.getAttribute("aria-disabled") === "true") {
        return;
      }
      element.setAttribute("aria-disabled", "true");
      output.setAttribute("aria-busy", "true");
      output.replaceChildren(make("p", {}, words[waiting]));
      let answer;
      try {
        answer = await post(id);
      } catch {
        answer = { error: { message: words.lost, hint: "" } };
      }
      element.removeAttribute("aria-disabled");
      if (answer.reload || (answer.lesson && answer.lesson !== lesson)) {
        location.reload();
        return;
      }
      output.replaceChildren(...(answer.error ? failure(answer.error) : show(answer)));
      output.setAttribute("aria-busy", "false");
    });
  }

  button("check", "checking", results);
  button("hint", "working", hint);
  button("next", "working", (answer) => [make("p", {}, answer.text)]);
  button("language", "working", () => []);

  for (const element of document.querySelectorAll("button.type")) {
    element.addEventListener("click", () => Shell.type(element.dataset.command));
  }

  /* F6 goes round the parts of the page, also out of the terminal. */
  const parts = [...document.querySelectorAll("[data-part]")];
  function go(step) {
    const here = parts.findIndex((part) => part.contains(document.activeElement));
    const part = parts[(here + step + parts.length) % parts.length] || parts[0];
    if (part.id === "terminal") {
      Shell.focus();
    } else {
      part.focus();
    }
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "F6" && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      go(event.shiftKey ? -1 : 1);
    }
  });
  document.querySelector('nav a[href="#terminal"]').addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("terminal").scrollIntoView();
    Shell.focus();
  });

  const events = new EventSource("events");
  events.addEventListener("picture", (event) => LivePicture.show(JSON.parse(event.data)));
  events.addEventListener("say", (event) => {
    document.getElementById("said").textContent = JSON.parse(event.data).text;
  });
  events.addEventListener("idle", () => Shell.wasIdle());
})();
