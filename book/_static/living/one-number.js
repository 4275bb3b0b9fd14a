// One number: a layer multiplies by w, with the shortcut by 1 + w; n layers in a row.
Living.figure("one-number", ({ deepest, lowest, highest, ticks, near, band }) => {
  const EDGE = { left: 46, right: 14, top: 40, bottom: 26 };
  const { made, number, power } = Living;

  const inBrackets = (factor) => (factor < 0 ? `(${number(factor)})` : number(factor));
  // How many powers of ten each layer adds; minus infinity for a factor of zero.
  const slope = (factor) => Math.log10(Math.abs(factor));
  const course = (factor) => {
    const size = Math.abs(factor);
    return size === 1 ? "keeps its size" : size > 1 ? "grows" : size > 0 ? "shrinks" : "is zero";
  };

  // How much of its input the shortcut carries: nothing, all, or a part while it is switched.
  const aims = ({ shortcut }) => ({ carried: Number(shortcut) });

  function paint({ state, now: { carried }, width, height }) {
    const { weight, depth, shortcut } = state;
    const ends = [EDGE.left, width - EDGE.right];
    const x = d3.scaleLinear([0, deepest], ends);
    const y = d3.scaleLinear([lowest, highest], [height - EDGE.bottom, EDGE.top]);
    const path = d3.line(([layer]) => x(layer), ([, exponent]) => y(exponent));
    const withShortcut = Math.round(100 * (1 + weight)) / 100;
    const claim = (factor) => `${inBrackets(factor)}${power(depth)} = ${number(factor ** depth)}`;

    function frame() {
      const lines = ticks.map((tick) => {
        const name = tick ? `10${power(tick)}` : "1";
        return [
          made("path", { class: "grid", d: `M${ends[0]} ${y(tick)}H${ends[1]}` }),
          made("text", { class: "end", x: ends[0] - 8, y: y(tick) + 4 }, name),
        ];
      });
      const below = { y: height - 6 };
      const [x0, y0] = [ends[0], y(near)];
      return [
        made("rect", { class: "near", x: x0, y: y0, width: ends[1] - x0, height: y(-near) - y0 }),
        made("rect", { class: "near", x: x0, y: 3, width: 18, height: 11 }),
        made("text", { x: x0 + 24, y: 12 }, band),
        ...lines.flat(),
        made("path", { class: "grid", d: `M${x(depth)} ${EDGE.top}V${height - EDGE.bottom}` }),
        made("text", { ...below, x: ends[0] }, "0 layers"),
        made("text", { ...below, x: ends[1], class: "end" }, deepest),
      ];
    }

    // The line up to n layers, thin beyond, and the value at n; it may lie below the axis. Where
    // the sign turns with each layer, every second layer's piece is left out, and a value below
    // zero has a minus in its dot.
    function chain(factor, kind, isHigher, said, opacity) {
      const rise = Math.max(slope(factor), -1e3);
      const last = rise < 0 ? Math.min(deepest, lowest / rise) : deepest;
      const here = Math.min(depth, last);
      const exponent = Math.max(depth * rise, lowest);
      const isBelow = depth * rise < lowest;
      const place = { x: x(depth), y: y(exponent) + (isHigher || isBelow ? -12 : 18) };
      const side = depth > deepest / 2 ? "end" : "";
      const reached = [here, here * rise];
      const [run, drop] = [x(1) - x(0), y(rise) - y(0)];
      const turns = factor < 0 ? `stroke-dasharray: ${Math.hypot(run, drop)}` : null;
      const isBelowZero = factor < 0 && depth % 2 === 1;
      const dot = [x(depth), y(exponent)];
      return made(
        "g",
        { opacity },
        made("path", { class: `line thin ${kind}`, d: path([reached, [last, last * rise]]) }),
        made("path", {
          class: `line ${kind} ${turns ? "turns" : ""}`, style: turns,
          d: path([[0, 0], reached]),
        }),
        made("circle", { class: `dot ${kind}`, cx: dot[0], cy: dot[1], r: isBelowZero ? 7 : 5 }),
        ...(isBelowZero
          ? [made("path", { class: `sign ${kind}`, d: `M${dot[0] - 3.5} ${dot[1]}h7` })]
          : []),
        made("text", { class: `said ${side}`, ...place }, isBelow ? `${said} ↓` : said),
      );
    }

    const isHigher = Math.abs(withShortcut) >= Math.abs(weight);
    const plainIsHigher = carried > 0 && !isHigher;
    const shapes = [...frame(), chain(weight, "plain", plainIsHigher, claim(weight), null)];
    if (carried > 0) {
      const factor = carried === 1 ? withShortcut : weight + carried;
      shapes.push(chain(factor, "residual", isHigher, claim(withShortcut), carried));
    }
    const layers = depth === 1 ? "1 layer" : `${depth} layers`;
    const told = (factor, name) =>
      `a layer multiplies the derivative by ${name} = ${number(factor)}: it ${course(factor)}. ` +
      `After ${layers}: ${claim(factor)}.`;
    const said = shortcut
      ? `With the shortcut ${told(withShortcut, "1 + w")} Without the shortcut: ${claim(weight)}.`
      : `Without the shortcut ${told(weight, "w")}`;
    const axis = "The size of the derivative by the number of layers, on a logarithmic axis.";
    const alt = `${axis} ${said}`;
    return { shapes, alt, said };
  }

  return { aims, paint };
});
