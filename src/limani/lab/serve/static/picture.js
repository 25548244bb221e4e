/* The live picture: a drawing for the eye, and the same in tables for everybody. */
"use strict";

const LivePicture = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const words = JSON.parse(document.getElementById("words").textContent);
  const BOX = { width: 150, height: 50, gap: 10, pad: 12, head: 30 };

  function fill(pattern, values) {
    return pattern.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  function svg(name, properties, ...children) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(properties)) {
      element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  function cut(text, length) {
    return text.length > length ? `${text.slice(0, length - 1)}…` : text;
  }

  /* A frame with small boxes in it, in as many columns as fit; returns the group and its height. */
  function frame(title, tone, boxes, top, width) {
    const columns = Math.max(1, Math.floor((width - 2 * BOX.pad + BOX.gap) / (BOX.width + BOX.gap)));
    const rows = Math.max(1, Math.ceil(boxes.length / columns));
    const height = BOX.head + rows * (BOX.height + BOX.gap) + 2;
    const group = svg("g", { transform: `translate(1 ${top})` });
    group.append(svg("rect", { class: `frame ${tone}`, width: width - 2, height, rx: 8 }));
    group.append(svg("text", { class: "head", x: BOX.pad, y: 20 }, cut(title, Math.floor(width / 8))));
    boxes.forEach((box, index) => {
      const x = BOX.pad + (index % columns) * (BOX.width + BOX.gap);
      const y = BOX.head + Math.floor(index / columns) * (BOX.height + BOX.gap);
      const made = svg("g", { transform: `translate(${x} ${y})`, class: `box ${box.tone}` });
      made.append(svg("rect", { width: BOX.width, height: BOX.height, rx: 6 }));
      made.append(svg("text", { x: 10, y: 21, class: "name" }, cut(box.name, 17)));
      made.append(svg("text", { x: 10, y: 39, class: "state" }, cut(box.state, 21)));
      group.append(made);
    });
    return { group, height: height + BOX.gap };
  }

  const podBox = (pod) => ({ name: pod.name, state: pod.state, tone: pod.well ? "good" : "wait" });
  const imageBox = (image) => ({ name: image, state: words.image, tone: "thing" });

  function state(one) {
    return one.exit === null ? one.state : fill(words.exit, { state: one.state, code: one.exit });
  }

  function frames(picture) {
    const made = [];
    for (const node of picture.nodes) {
      const pods = picture.pods.filter((pod) => pod.node === node.name).map(podBox);
      const boxes = [...pods, ...node.images.map(imageBox)];
      made.push([`${words.node}: ${node.name}`, node.ready ? "good" : "wait", boxes]);
    }
    const waiting = picture.pods.filter((pod) => !picture.nodes.some((node) => node.name === pod.node));
    if (waiting.length) {
      made.push([words.no_node, "wait", waiting.map(podBox)]);
    }
    if (picture.docker === "ok") {
      const containers = picture.containers.map((one) => ({
        name: one.name, state: state(one), tone: one.state === "running" ? "good" : one.exit === 0 ? "thing" : "wait",
      }));
      made.push(["Docker", "good", [...containers, ...picture.images.map(imageBox)]]);
    }
    return made;
  }

  function draw(picture, width) {
    const drawing = svg("svg", { role: "img", "aria-label": words.drawing });
    let top = 1;
    for (const [title, tone, boxes] of frames(picture)) {
      const made = frame(title, tone, boxes, top, width);
      drawing.append(made.group);
      top += made.height;
    }
    drawing.setAttribute("viewBox", `0 0 ${width} ${top}`);
    drawing.setAttribute("width", width);
    drawing.setAttribute("height", top);
    return drawing;
  }

  function table(caption, heads, rows, none) {
    const { make } = Results;
    if (!rows.length) {
      return make("p", {}, none);
    }
    const head = make("tr", {}, ...heads.map((word) => make("th", { scope: "col" }, words[word])));
    const body = rows.map((cells) =>
      make("tr", {}, ...cells.map((cell, index) => make(index ? "td" : "th", index ? {} : { scope: "row" }, String(cell)))));
    const made = make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
    return make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption }, made);
  }

  function clusterTables(picture) {
    const nodes = picture.nodes.map((one) => [one.name, one.ready ? words.yes : words.no, one.images.join(", ") || "–"]);
    const pods = picture.pods.map((one) =>
      [one.name, one.state, fill(words.ready_of, one), one.restarts, one.node || words.no_node, one.image]);
    return [
      table(fill(words.pods_in, picture), ["name", "state", "ready", "restarts", "node", "image"], pods, words.no_pods),
      table(words.nodes, ["name", "ready", "images"], nodes, words.cluster_away),
    ];
  }

  function dockerTables(picture) {
    const containers = picture.containers.map((one) => [one.name, state(one), one.image, one.ports.join(", ") || "–"]);
    return [
      table(words.containers, ["name", "state", "image", "ports"], containers, words.no_containers),
      table(words.images, ["name"], picture.images.map((image) => [image]), words.no_images),
    ];
  }

  function tables(picture) {
    const { make } = Results;
    const made = [];
    if (picture.cluster) {
      made.push(...(picture.cluster === "ok" ? clusterTables(picture) : [make("p", {}, words.cluster_away)]));
    }
    if (picture.docker) {
      made.push(...(picture.docker === "ok" ? dockerTables(picture) : [make("p", {}, words.docker_away)]));
    }
    return made;
  }

  let shown = null;
  const drawing = document.getElementById("drawing");
  const place = document.getElementById("tables");

  function redraw() {
    if (shown) {
      drawing.replaceChildren(draw(shown, Math.max(drawing.clientWidth, 200)));
    }
  }

  function show(picture) {
    shown = picture;
    const focused = place.contains(document.activeElement) ? [...place.children].indexOf(document.activeElement) : -1;
    place.replaceChildren(...tables(picture));
    if (focused >= 0 && place.children[focused]) {
      place.children[focused].focus();
    }
    redraw();
  }

  let width = 0;
  new ResizeObserver(() => {
    if (drawing.clientWidth !== width) {
      width = drawing.clientWidth;
      redraw();
    }
  }).observe(drawing);

  return { show };
})();
