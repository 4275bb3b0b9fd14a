// The search page: MiniSearch over the sections of all pages (search-sections.js).

// Letters without accents, small; × is x, so that 1×1 and 1x1 are one.
const plain = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/×/g, "x");
const SPLIT = /[^\p{L}\p{N}_]+/u;
const MOST = 40;

const sections = BOOK_SECTIONS.map((section, id) => ({ id, ...section }));
const index = new MiniSearch({
  fields: ["h", "t", "x", "c"],
  tokenize: text => plain(text).split(SPLIT).filter(Boolean),
  processTerm: term => term,
  searchOptions: {
    boost: { h: 5, t: 3, x: 1, c: 0.4 },
    combineWith: "AND",
    // A chapter before its solutions, and both before what only lists names.
    boostDocument: id => (/solutions\/|references|api/.test(sections[id].u) ? 0.5 : 1),
    // Short words are exact; of longer ones the last may be unfinished, and one letter in five wrong.
    prefix: (term, i, terms) => term.length > 2 && i === terms.length - 1,
    fuzzy: term => (term.length > 3 && !/\d/.test(term) ? 0.2 : false),
  },
});
index.addAll(sections);

function find(query) {
  const words = plain(query).split(SPLIT).filter(Boolean);
  if (!words.length) return [];
  // "warm up" also stands as "warmup" in code.
  const joined = words.length > 1 ? [words.join("")] : [];
  let hits = index.search({ combineWith: "OR", queries: [{ queries: [query] }, ...joined] });
  if (!hits.length) hits = index.search(query, { combineWith: "OR" });
  const phrase = words.join(" ");
  for (const hit of hits) {
    const { h, x } = sections[hit.id];
    const together = plain(`${h} ${x}`).split(SPLIT).join(" ");
    if (` ${together} `.includes(` ${phrase} `)) hit.score *= 3;
  }
  return hits.sort((one, other) => other.score - one.score);
}

// The words around the first hit, the found ones strong.
function excerpt(text, terms) {
  const words = text.split(/(\s+)/);
  const isFound = word => plain(word).split(SPLIT).some(part => terms.includes(part));
  const first = Math.max(0, words.findIndex(isFound));
  const [start, end] = [Math.max(0, first - 16), Math.min(words.length, first + 36)];
  const line = document.createElement("p");
  line.className = "context";
  if (start > 0) line.append("… ");
  for (const word of words.slice(start, end)) {
    if (!isFound(word)) line.append(word);
    else line.append(Object.assign(document.createElement("strong"), { textContent: word }));
  }
  if (end < words.length) line.append(" …");
  line.normalize();
  return line;
}

function shown(hit) {
  const { u, a, t, h, x, c } = sections[hit.id];
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `${u}#${a}`;
  link.textContent = h;
  item.append(link);
  if (h !== t) item.append(Object.assign(document.createElement("span"), { className: "page", textContent: t }));
  const inProse = hit.terms.some(term => plain(x).includes(term));
  if (inProse || !c) item.append(excerpt(x, hit.terms));
  return item;
}

function show(query) {
  const place = document.getElementById("search-results");
  const hits = find(query);
  const summary = Object.assign(document.createElement("p"), { className: "search-summary" });
  if (!query.trim()) summary.textContent = "Type a word, a name from the code, or a shape such as 1×1.";
  else if (!hits.length) summary.textContent = `Nothing found for “${query}”.`;
  else summary.textContent = hits.length > MOST
    ? `The first ${MOST} of ${hits.length} sections`
    : `${hits.length} ${hits.length === 1 ? "section" : "sections"}`;
  const list = Object.assign(document.createElement("ul"), { className: "search" });
  list.append(...hits.slice(0, MOST).map(shown));
  place.replaceChildren(summary, list);
}

const field = document.querySelector(".bd-search-container input[type=search]");
field.value = new URLSearchParams(location.search).get("q") ?? "";
field.addEventListener("input", () => show(field.value));
show(field.value);
