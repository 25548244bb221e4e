// The search box. Pagefind answers from the index of the page's language; words readers use instead of those on the
// pages (assets/words-*.json, made of the glossary) are looked up as well.
const dialog = document.getElementById("finder")
const input = document.getElementById("finder-words")
const list = document.getElementById("finder-results")
const status = document.getElementById("finder-status")
const LOOKED_AT = 40
const SHOWN = 15
let pagefind, same, loading, asked = 0

// Accents and the two shapes of sigma do not matter.
const fold = (text) => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "").replace(/ς/g, "σ")
const split = (text) => fold(text).split(/[^\p{L}\p{N}]+/u).filter(Boolean)

// Whether two folded words differ only in their endings.
function akin(a, b) {
  let shared = 0
  while (shared < Math.min(a.length, b.length) && a[shared] === b[shared]) shared++
  return shared >= Math.max(3, Math.max(a.length, b.length) - 3) || a === b
}

async function fetched() {
  const [module, words] = await Promise.all([
    import(new URL(dialog.dataset.index, document.baseURI)),
    fetch(new URL(dialog.dataset.words, document.baseURI)).then((answer) => answer.json()),
  ])
  await module.options({ excerptLength: 24 })
  same = Object.entries(words).map(([typed, terms]) => [split(typed), terms])
  pagefind = module
}

// Once, when the box first opens.
const load = () => (loading ??= fetched())

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

// The words as typed first, then what the glossary says they mean; prose before the reference.
async function find(typed) {
  const found = new Map()
  for (const [turn, words] of variants(typed).entries()) {
    const { results } = await pagefind.search(words)
    const pages = await Promise.all(results.slice(0, LOOKED_AT).map((result) => result.data()))
    for (const [place, data] of pages.entries()) {
      if (!answers(data, words) || found.has(data.url)) continue
      found.set(data.url, { data, rank: turn * 2 + Number(data.url.includes("/reference/")), place })
    }
  }
  return [...found.values()].sort((a, b) => a.rank - b.rank || a.place - b.place).slice(0, SHOWN).map(({ data }) => data)
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

// Pagefind remembers a fetch that failed (a laptop that woke up, another network); then it has to begin anew.
async function answered(typed) {
  try {
    await load()
    return await find(typed)
  } catch {
    await pagefind?.destroy()
    loading = undefined
    await load()
    return await find(typed)
  }
}

function said(found) {
  if (found.length === 0) return dialog.dataset.none
  return found.length === 1 ? dialog.dataset.one : dialog.dataset.many.replace("#", found.length)
}

async function search() {
  const turn = ++asked
  const typed = input.value.trim()
  let found = []
  let told = dialog.dataset.hint
  if (typed.length > 1) {
    try {
      found = await answered(typed)
      told = said(found)
    } catch (error) {
      console.error(error)
      told = dialog.dataset.failed
    }
  }
  if (turn !== asked) return // somebody typed on
  list.replaceChildren(...found.map(item))
  status.textContent = told
  dialog.dataset.answered = typed
}

function open() {
  dialog.showModal()
  input.select()
  load().catch(() => { loading = undefined })
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
