// What the theme's markup lacks for people who use a keyboard or a screen reader.
// Blocks that scroll sideways can be reached by keyboard.
const reachable = () => {
  for (const block of document.querySelectorAll("pre > code, .md-typeset__scrollwrap, .md-typeset__table")) {
    const scrolls = block.scrollWidth > block.clientWidth + 1
    if (scrolls) block.setAttribute("tabindex", "0")
    else block.removeAttribute("tabindex")
  }
}
window.addEventListener("load", reachable)
window.addEventListener("resize", reachable)

// The theme gives each code block a navigation landmark without a name for its copy button.
const plain = () => {
  for (const nav of document.querySelectorAll(".md-code__nav:not([role])")) nav.setAttribute("role", "none")
}
new MutationObserver(plain).observe(document.body, { childList: true, subtree: true })
plain()
