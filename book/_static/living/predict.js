// Predict, then reveal: the reader draws a curve, then the measured one appears beside it.
Living.figure("predict", (data, box) => {
  const { fixed, made, number, power, span } = Living;
  const { places, at, across, unit, up, lowest, highest, ticks, isLog, curves } = data;
  const EDGE = { left: 46, right: 16, top: 26, bottom: 40 };
  const drawing = box.querySelector(".living-drawing");
  const points = [...box.querySelectorAll('[data-scale="point"]')];
  const start = Number(points[0].value);
  let scales; // of the last painting

  // Measured values and drawn ones in the axis's own terms: powers of ten, or percent.
  const onAxis = (value) => (isLog ? Math.log10(value) : value);
  const shown = (drawn) => (isLog ? number(10 ** drawn) : `${drawn} %`);
  const range = (ends) => (isLog ? span(ends) : `${span(ends, fixed(data.digits))} %`);
  const named = (place) => (unit === "layers" ? `${place} layers` : `${unit} ${place}`);
  const drawnOf = (state) => places.map((_, point) => state[`point ${point}`]);
  const curveOf = ({ network = "plain" }) => curves[network];

  // How far each point lies from the measured band, below it negative, inside it zero.
  function gapsOf(state) {
    const { low, high } = curveOf(state);
    return drawnOf(state).map((drawn, point) => {
      const [least, most] = [low, high].map((side) => onAxis(side[at.indexOf(places[point])]));
      return drawn > most ? drawn - most : Math.min(drawn - least, 0);
    });
  }

  function compared(state) {
    const gaps = gapsOf(state);
    const sizes = gaps.map(Math.abs);
    const worst = sizes.indexOf(Math.max(...sizes));
    if (!sizes[worst]) return "Your curve lies in the band at every point.";
    const mean = sizes.reduce((total, size) => total + size, 0) / sizes.length;
    const amount = (size) => (isLog ? number(10 ** size) : fixed(1)(size));
    const away = isLog ? `a factor of ${amount(mean)}` : `${amount(mean)} points`;
    const side = isLog ? ["times too small", "times too large"] : ["too low", "too high"];
    const most = `${amount(sizes[worst])} ${side[Number(gaps[worst] > 0)]}`;
    const where = named(places[worst]);
    return `Your curve lies ${away} from the band on average, most at ${where}: ${most}.`;
  }

  function sentence(state) {
    const { words, low, high, ratio } = curveOf(state);
    const drawn = drawnOf(state);
    if (!state.measured) {
      const { given } = curveOf(state);
      const told = given ? ` Given is the thin line, ${given.words}.` : "";
      return `Draw the whole curve, then let the measured one appear.${told}`;
    }
    const place = named(places.at(-1));
    const yours = ratio ? number(10 ** (drawn[0] - drawn.at(-1))) : shown(drawn.at(-1));
    const found = ratio ? span(ratio) : range([low.at(-1), high.at(-1)]);
    const subject = ratio
      ? `${words[0].toUpperCase()}${words.slice(1)}: the first gradient is ${found} times the last`
      : `Measured at ${place} (${words}): ${found}`;
    const untouched = points.every((point) => Number(point.value) === start);
    if (untouched) return `${subject}. You have drawn nothing yet.`;
    const you = ratio ? `${yours} times` : yours;
    return `${subject}, you drew ${you}. ${compared(state)}`;
  }

  // Draws with mouse or finger: every point that the stroke passes goes to its height.
  let before;
  function follow({ clientX, clientY }) {
    const { left, top } = drawing.getBoundingClientRect();
    const here = [scales.x.invert(clientX - left), scales.y.invert(clientY - top)];
    const from = before ?? here;
    before = here;
    const distances = places.map((place) => Math.abs(place - here[0]));
    const nearest = distances.indexOf(Math.min(...distances));
    for (const [point, place] of places.entries()) {
      const isPassed = (place - from[0]) * (place - here[0]) < 0;
      if (!isPassed && point !== nearest) continue;
      const share = isPassed ? (place - from[0]) / (here[0] - from[0]) : 1;
      const height = from[1] + share * (here[1] - from[1]);
      const steps = Number(points[point].max) / (highest - lowest);
      points[point].value = Math.round((height - lowest) * steps); // the browser keeps to its ends
    }
    box.dispatchEvent(new Event("input"));
    return points[nearest];
  }
  drawing.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault(); // no text is selected
    drawing.setPointerCapture(event.pointerId);
    before = undefined;
    follow(event);
  });
  drawing.addEventListener("pointermove", (event) => {
    if (drawing.hasPointerCapture(event.pointerId)) follow(event);
  });
  drawing.addEventListener("pointerup", (event) => {
    // So that the arrow keys can go on from where the stroke ended.
    if (before) follow(event).focus({ preventScroll: true });
  });
  for (const turn of ["focusin", "focusout"]) {
    box.addEventListener(turn, () => box.dispatchEvent(new Event("input")));
  }

  function axes(x, y, width, height) {
    const [left, right] = [EDGE.left, width - EDGE.right];
    const words = (tick) => (isLog ? (tick ? `10${power(tick)}` : "1") : tick);
    const lines = ticks.flatMap((tick) => [
      made("path", { class: "grid", d: `M${left} ${y(tick)}H${right}` }),
      made("text", { class: "end", x: left - 8, y: y(tick) + 4 }, words(tick)),
    ]);
    const below = { class: "middle", y: height - EDGE.bottom + 18 };
    const names = places.map((place) => made("text", { ...below, x: x(place) }, place));
    const guessing = data.guessing && [
      made("path", { class: "line thin guess", d: `M${left} ${y(data.guessing)}H${right}` }),
      made("text", { x: left + 4, y: y(data.guessing) - 5 }, "guessing"),
    ];
    return [
      ...lines,
      ...names,
      ...(guessing ?? []),
      made("text", { x: 0, y: 12 }, up),
      made("text", { class: "middle", x: (left + right) / 2, y: height - 4 }, across),
    ];
  }

  const aims = ({ measured }) => ({ shows: Number(measured) });

  function paint({ state, now, width, height }) {
    const x = d3.scaleLinear([at[0], at.at(-1)], [EDGE.left + 12, width - EDGE.right - 12]);
    const y = d3.scaleLinear([lowest, highest], [height - EDGE.bottom, EDGE.top]);
    scales = { x, y };
    const { words, kind, low, middle, high, given } = curveOf(state);
    const along = (_, place) => x(at[place]);
    const value = (one) => y(onAxis(one));
    const path = d3.line(along, value);
    const band = d3.area().x(along).y0((_, place) => value(low[place])).y1(value);
    const drawn = drawnOf(state);
    const mine = drawn.map((one, point) => [x(places[point]), y(one)]);
    const focused = points.indexOf(document.activeElement);
    const end = { class: "said end", x: x(at.at(-1)) };
    const shapes = [
      ...axes(x, y, width, height),
      given && made("path", { class: `line thin ${kind}`, d: path(given.middle) }),
      given && made("text", { ...end, y: value(given.middle.at(-1)) + 18 }, given.words),
      made("g", { opacity: now.shows },
        made("path", { class: `band ${kind}`, d: band(high) }),
        made("path", { class: `line ${kind}`, d: path(middle) }),
        made("text", { ...end, y: value(middle.at(-1)) - 12 }, state.measured ? words : "")),
      made("path", { class: "line mine", d: d3.line()(mine) }),
      ...mine.map(([cx, cy]) => made("circle", { class: "dot mine", cx, cy, r: 5 })),
      made("text", { class: "said", x: mine[0][0] + 8, y: mine[0][1] - 10 }, "you"),
      focused >= 0 &&
        made("circle", { class: "ring", cx: mine[focused][0], cy: mine[focused][1], r: 11 }),
    ].filter(Boolean);
    const said = sentence(state);
    const yours = drawn.map((one, point) => `${named(places[point])} ${shown(one)}`).join(", ");
    const alt = `${up} by ${across}. Your curve: ${yours}. ${said}`;
    return { shapes, alt, said };
  }

  return { aims, paint };
});
