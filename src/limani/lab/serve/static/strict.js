/* The page's policy (default-src 'self') forbids <style> elements and style attributes made by scripts; xterm.js uses
 * both. Same effect through the object model, which the policy allows because only our own scripts can reach it. */
"use strict";

(() => {
  const createElement = document.createElement.bind(document);

  /* Stands for a <style> element: its text goes into a constructed style sheet. */
  function styleElement() {
    const element = createElement("template");
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets.push(sheet);
    Object.defineProperty(element, "textContent", {
      get: () => "",
      set: (text) => sheet.replaceSync(text),
    });
    element.remove = () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
      Element.prototype.remove.call(element);
    };
    return element;
  }

  document.createElement = (name, options) =>
    String(name).toLowerCase() === "style" ? styleElement() : createElement(name, options);

  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (name, value) {
    if (name === "style") {
      this.style.cssText = value;
    } else {
      setAttribute.call(this, name, value);
    }
  };
})();
