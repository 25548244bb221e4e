/* The terminal: xterm.js on the web socket of the one shell. */
"use strict";

const Shell = (() => {
  const { words } = Results;
  const state = document.getElementById("terminal-state");
  const again = document.getElementById("again");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const LIGHT = {
    background: "#fbfcfd", foreground: "#15202b", cursor: "#0b5c7a", cursorAccent: "#ffffff",
    selectionBackground: "#b9dcea", yellow: "#7a5a00", brightYellow: "#7a5a00", white: "#4b5763", brightWhite: "#15202b",
    green: "#166534", brightGreen: "#166534", cyan: "#0b5c7a", brightCyan: "#0b5c7a",
  };
  const DARK = {
    background: "#0e151b", foreground: "#e6edf3", cursor: "#7cc7e0", cursorAccent: "#0e151b",
    selectionBackground: "#24506a",
  };

  Terminal.strings.promptLabel = words.terminal_input;
  Terminal.strings.tooMuchOutput = words.too_much;
  const terminal = new Terminal({
    screenReaderMode: true,
    minimumContrastRatio: 4.5,
    cursorBlink: !still.matches,
    smoothScrollDuration: 0,
    fontSize: 14,
    fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
    scrollback: 5000,
    theme: dark.matches ? DARK : LIGHT,
  });
  const fit = new FitAddon.FitAddon();
  let socket = null;
  let idle = false;

  function send(...message) {
    if (socket && socket.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify(message));
      return true;
    }
    return false;
  }

  function say(word) {
    state.textContent = words[word];
    state.dataset.state = word;
  }

  function connect() {
    const address = new URL("tty", location.href);
    address.protocol = "ws:";
    again.hidden = true;
    say("connecting");
    terminal.reset();
    socket = new WebSocket(address);
    let opened = false;
    socket.onmessage = (event) => {
      const [kind, text] = JSON.parse(event.data);
      if (kind === "setup") {
        opened = true;
        idle = false;
        say("connected");
        resize();
      } else if (kind === "stdout") {
        terminal.write(text);
      }
    };
    socket.onclose = () => {
      say(opened ? (idle ? "idle" : "ended") : "lost");
      again.hidden = false;
    };
  }

  function resize() {
    fit.fit();
    send("set_size", terminal.rows, terminal.cols);
  }

  /* Put a command on the visible command line; the learner presses Enter. */
  function type(command) {
    if (!socket || socket.readyState !== WebSocket.OPEN) {
      say("no_terminal");
      again.hidden = false;
      again.focus();
      return;
    }
    terminal.paste(command);
    say("typed");
    document.getElementById("terminal").scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
    terminal.focus();
  }

  terminal.loadAddon(fit);
  terminal.open(document.getElementById("screen"));
  terminal.textarea.setAttribute("aria-describedby", "keys");
  terminal.onData((data) => {
    if (send("stdin", data) && state.dataset.state === "typed" && data === "\r") {
      say("connected");
    }
  });
  terminal.attachCustomKeyEventHandler((event) => event.key !== "F6");
  dark.addEventListener("change", () => { terminal.options.theme = dark.matches ? DARK : LIGHT; });
  again.textContent = words.again;
  again.addEventListener("click", () => { connect(); terminal.focus(); });
  new ResizeObserver(resize).observe(document.getElementById("screen"));
  connect();

  return { type, focus: () => terminal.focus(), wasIdle: () => {
      idle = true;
      if (state.dataset.state === "ended") {
        say("idle");
      }
    }, connect, terminal };
})();
