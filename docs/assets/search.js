// The search box. Pagefind answers from the index of the page's language; words readers use instead of those on the
// pages (assets/words-*.json, made of the glossary) are looked up as well.
const dialog = document.getElementById("finder")
const input = document.getElementById("finder-words")
const list = document.getElementById("finder-results")
const status = document.getElementById("finder-status")
const SHOWN = 12
let pagefind, same, asked = 0

// Accents and the two shapes of sigma do not matter.
const fold = (text) => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "").replace(/ς/g, "σ")
const split = (text) => fold(text).split(/[^\p{L}\p{N}]+/u).filter(Boolean)

// Whether two folded words differ only in their endings.
function akin(a, b) {
  let shared = 0
  while (shared < Math.min(a.length, b.length) && a[shared] === b[shared]) shared++
  return shared >= Math.max(3, Math.max(a.length, b.length) - 3) || a === b
}

async function load() {
  if (pagefind) return
  pagefind = await import(new URL(dialog.dataset.index, document.baseURI))
  await pagefind.options({ excerptLength: 24 })
  same = Object.entries(await (await fetch(new URL(dialog.dataset.words, document.baseURI))).json())
    .map(([typed, terms]) => [split(typed), terms])
}

// The words typed, and for every synonym among them the same with the term the pages use.
function variants(typed) {
  const words = split(typed)
  const found = [typed]
  for (const [synonym, terms] of same) {
    const at = words.findIndex((_, i) => synonym.every((part, j) => words[i + j] && akin(part, words[i + j])))
    if (at < 0) continue
    for (const term of terms) {
      found.push([...words.slice(0, at), term, ...words.slice(at + synonym.length)].join(" "))
    }
  }
  return found.slice(0, 6)
}

// Pagefind shortens a word nobody wrote until something begins like it; such pages are no answer.
function answers(data, typed) {
  const text = split(`${data.meta.title} ${data.content}`)
  return split(typed).every((word) => text.some((other) => other.startsWith(word) || akin(word, other)))
}

async function find(typed) {
  const found = new Map()
  for (const words of variants(typed)) {
    const { results } = await pagefind.search(words)
    for (const result of results.slice(0, SHOWN)) {
      const data = await result.data()
      if (answers(data, words) && !found.has(data.url)) found.set(data.url, { data, score: result.score })
    }
  }
  return [...found.values()].sort((a, b) => b.score - a.score).slice(0, SHOWN).map(({ data }) => data)
}

function item(data) {
  const best = data.sub_results.find((part) => part.url !== data.url && part.excerpt.includes("<mark>"))
  const entry = document.createElement("li")
  const link = entry.appendChild(document.createElement("a"))
  link.href = data.url
  link.textContent = data.meta.title.replace(/#$/, "")
  const excerpt = entry.appendChild(document.createElement("p"))
  excerpt.innerHTML = (best ?? data).excerpt
  if (best) {
    const part = entry.insertBefore(document.createElement("a"), excerpt)
    part.href = best.url
    part.className = "finder__part"
    part.textContent = best.title.replace(/#$/, "")
  }
  return entry
}

async function search() {
  const turn = ++asked
  const typed = input.value.trim()
  let found = []
  let said = dialog.dataset.hint
  if (typed.length > 1) {
    try {
      await load()
      found = await find(typed)
      said = found.length === 0 ? dialog.dataset.none
        : found.length === 1 ? dialog.dataset.one : dialog.dataset.many.replace("#", found.length)
    } catch {
      said = dialog.dataset.failed
    }
  }
  if (turn !== asked) return // somebody typed on
  list.replaceChildren(...found.map(item))
  status.textContent = said
  dialog.dataset.answered = typed
}

function open() {
  dialog.showModal()
  input.select()
  load().catch(() => { status.textContent = dialog.dataset.failed })
}

function move(event) {
  const stops = [input, ...list.querySelectorAll("a")]
  const at = stops.indexOf(document.activeElement)
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
  if (step && at >= 0) {
    stops[Math.min(Math.max(at + step, 0), stops.length - 1)].focus()
    event.preventDefault()
  } else if (event.key === "Enter" && document.activeElement === input && stops.length > 1) {
    stops[1].click()
  }
}

document.getElementById("finder-open").addEventListener("click", open)
document.getElementById("finder-close").addEventListener("click", () => dialog.close())
input.addEventListener("input", search)
dialog.addEventListener("keydown", move)
dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target.closest("li a")) dialog.close() })
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]")
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing || dialog.open) return
  event.preventDefault()
  open()
})
