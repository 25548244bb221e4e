/* The answers of Check and Hint, as elements; texts are never taken as HTML. */
"use strict";

const Results = (() => {
  const words = JSON.parse(document.getElementById("words").textContent);

  function make(name, properties = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  function detail(word, text) {
    return text ? [make("dt", {}, words[word]), make("dd", {}, text)] : [];
  }

  /* A check that passes is one line, one that waits says for what; any other says all four things. */
  const PARTS = { pass: [], blocked: ["wanted"], fail: ["found", "wanted", "why", "next"] };

  function item(result) {
    const head = make("p", { class: "verdict" }, make("strong", {}, words[result.status]), ": ", result.title);
    const made = make("li", { class: result.status, "data-check": result.id, "data-status": result.status }, head);
    const parts = (PARTS[result.status] || PARTS.fail).flatMap((part) => detail(part, result[part]));
    if (parts.length) {
      made.append(make("dl", {}, ...parts));
    }
    return made;
  }

  function results(answer) {
    const list = make("ol", { class: "results" }, ...answer.results.map(item));
    return [make("p", { class: "sum", "data-done": String(answer.done) }, answer.sum), list];
  }

  function hint(answer) {
    const head = { class: "sum", "data-check": answer.check, "data-tier": answer.tier };
    const made = [make("p", head, make("strong", {}, words.hint), ": ", answer.title)];
    made.push(...answer.lines.map((line) => make("p", {}, line)));
    made.push(...answer.commands.map((command) => make("pre", { tabindex: "0" }, make("code", { lang: "en" }, command))));
    return made;
  }

  function failure(error) {
    return [make("p", {}, make("strong", {}, words.failed), ": ", error.message), make("p", {}, error.hint)];
  }

  return { words, make, results, hint, failure };
})();
